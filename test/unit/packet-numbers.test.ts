/** The quick ways to a field's number say what the thorough ones say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FIELDS,
  ipv4Number,
  KEY_WORDS,
  macNumber,
  parseIpv4,
  parseMac,
  putField,
  putNumber,
} from '../../packet/index.ts';

/** What `parse` says, NaN where it throws. */
const numberOf = (parse: (text: string) => number | bigint, text: string): number => {
  try {
    return Number(parse(text));
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return Number.NaN;
  }
};

/** By the words of the formats' definitions, for `parse` and its quick way alike. */
const ipv4Oracle = (text: string): number => {
  const parts = text.split('.');
  const right = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
  return right ? parts.reduce((value, part) => value * 256 + Number(part), 0) : Number.NaN;
};
const macOracle = (text: string): number =>
  /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? Number(`0x${text.replaceAll(':', '')}`) : Number.NaN;

const pieces = (characters: string, length: number) =>
  fc
    .array(fc.constantFrom(...characters), { minLength: length - 1, maxLength: length })
    .map((all) => all.join(''));
const byte = fc.integer({ min: 0, max: 300 });

test('addresses, right and wrong', () => {
  const dotted = fc.array(fc.oneof(byte.map(String), pieces('0189 -', 3)), { minLength: 3, maxLength: 5 });
  const ipv4 = fc.oneof(
    dotted.map((all) => all.join('.')),
    pieces('01.', 7),
  );
  fc.assert(
    fc.property(ipv4, (text) => {
      expect(ipv4Number(text)).toBe(numberOf(parseIpv4, text));
      expect(ipv4Number(text)).toBe(ipv4Oracle(text));
    }),
    { numRuns: 2000 },
  );
  const pair = fc.oneof(
    byte.map((value) => (value & 255).toString(16).padStart(2, '0')),
    pieces('0aF9gG@`', 2),
  );
  const mac = fc.array(pair, { minLength: 5, maxLength: 7 }).map((all) => all.join(':'));
  fc.assert(
    fc.property(mac, (text) => {
      expect(macNumber(text)).toBe(numberOf(parseMac, text));
      expect(macNumber(text)).toBe(macOracle(text));
    }),
    { numRuns: 2000 },
  );
  expect([macNumber('02:00:00:00:00:0a'), ipv4Number('10.0.255.1')]).toEqual([0x02000000000a, 0x0a00ff01]);
});

test.each(FIELDS.filter(({ bits }) => bits <= 48))('$name in a key', (field) => {
  fc.assert(
    fc.property(fc.bigInt(0n, (1n << BigInt(field.bits)) - 1n), fc.integer(), (value, before) => {
      const quick = new Uint32Array(KEY_WORDS).fill(before);
      const thorough = quick.slice();
      putNumber(field, Number(value), quick);
      putField(field, value, thorough);
      expect(quick).toEqual(thorough);
    }),
  );
});
