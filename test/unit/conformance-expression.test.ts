import { expect, test } from 'vitest';
import { ExpressionError, evaluate, type Functions, parse } from '../conformance/expression.ts';

const functions: Functions = {
  call: ({ positional, keyword }) => ({ positional, keyword }),
  'module.call': ({ positional }) => positional[0],
};
const value = (text: string) => evaluate(parse(text), functions);

test('integers in any base, with the precedence of Python', () => {
  expect(value('42')).toBe(42n);
  expect(value('0xff')).toBe(255n);
  expect(value('2 ** 48 - 1')).toBe(0xffffffffffffn);
  expect(value('1 + 2 * 3')).toBe(7n);
  expect(value('(1 + 2) * 3')).toBe(9n);
  expect(value('10 - 4 - 3')).toBe(3n);
  expect(value('2 ** 3 ** 2')).toBe(512n);
  expect(value('-2 ** 2')).toBe(-4n);
  expect(value('2 ** -0')).toBe(1n);
  expect(value('7 & 2 + 1')).toBe(3n);
});

test('strings and bytes with their escapes', () => {
  expect(value("'20::20'")).toBe('20::20');
  expect(value('"it\\\'s"')).toBe("it's");
  expect(value("b'\\x01\\t\\n\\r\\\\\\xffA !\"'")).toEqual(
    Uint8Array.from([1, 9, 10, 13, 0x5c, 0xff, 0x41, 0x20, 0x21, 0x22]),
  );
  expect(value("b'\\x11' * (5 - 2)")).toEqual(Uint8Array.from([17, 17, 17]));
  expect(value("b'ab' * 0")).toEqual(new Uint8Array(0));
});

test('calls, keyword arguments, dotted names and lists', () => {
  expect(value("call(1, key='v', other=[2, call()])")).toEqual({
    positional: [1n],
    keyword: { key: 'v', other: [2n, { positional: [], keyword: {} }] },
  });
  expect(value('module.call(3,)')).toBe(3n);
});

test.each([
  '',
  '1 +',
  'name',
  'call(',
  'call(1 2)',
  'call(a=)',
  "'open",
  '1 @ 2',
  '[1',
  'missing()',
  "'a' + 1",
  'constructor()',
])('refuses %s', (text) => {
  expect(() => value(text)).toThrow(ExpressionError);
});
