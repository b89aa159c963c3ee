import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import {
  address,
  collect,
  datapathHex,
  datapathId,
  integer,
  oneOf,
  portSpec,
  protocols,
} from '../../cli/lib/options.ts';

test.each([
  ['1', 1n],
  ['18446744073709551615', 0xffffffffffffffffn],
  ['0x1f', 0x1fn],
  ['0000000000000010', 0x10n],
  ['00:00:00:00:00:00:00:2a', 0x2an],
])('datapath id %s', (text, id) => {
  expect(datapathId(text)).toBe(id);
});

test.each(['', '-1', 'x', '0x', '18446744073709551616', '1.5', '0x10000000000000000'])(
  'no datapath id: %j',
  (text) => {
    expect(() => datapathId(text)).toThrow(InvalidArgumentError);
  },
);

test('a datapath id is written with 16 digits and read back', () => {
  expect(datapathHex(0x2an)).toBe('000000000000002a');
  expect(datapathId(datapathHex(0xfedcba9876543210n))).toBe(0xfedcba9876543210n);
});

test.each([
  ['127.0.0.1', '127.0.0.1', 6653],
  ['controller.example:6633', 'controller.example', 6633],
  ['[::1]:7000', '::1', 7000],
  ['[::1]', '::1', 6653],
  ['::1', '::1', 6653],
  ['2001:db8::7', '2001:db8::7', 6653],
])('address %s', (text, host, port) => {
  expect(address(text)).toEqual({ host, port });
});

test.each(['', 'host:', 'host:0', 'host:65536', 'host:x', ':6653', 'a b'])('no address: %j', (text) => {
  expect(() => address(text)).toThrow(InvalidArgumentError);
});

test('whole numbers keep to their range', () => {
  const parse = integer(1, 10);
  expect(parse('10')).toBe(10);
  for (const text of ['0', '11', '1.5', '', '-1', '1e1', ' 2']) {
    expect(() => parse(text)).toThrow('from 1 to 10');
  }
});

test('words are from the list', () => {
  expect(oneOf(['a', 'b'])('b')).toBe('b');
  expect(() => oneOf(['a', 'b'])('c')).toThrow('one of: a, b');
});

test('repeated options are kept in order, ports with or without a number', () => {
  const add = collect(portSpec);
  expect(add('eth1=7', add('eth0', undefined))).toEqual(['eth0', 'eth1=7']);
  for (const text of ['', 'a b', 'eth0=', 'eth0=0', 'eth0=4294967041', 'much-too-long-name', 'x/y']) {
    expect(() => portSpec(text)).toThrow(InvalidArgumentError);
  }
});

test('versions of OpenFlow, as Open vSwitch names them', () => {
  expect(protocols('OpenFlow13')).toEqual([4]);
  expect(() => protocols('OpenFlow99')).toThrow(/OpenFlow13/);
  expect(() => protocols('')).toThrow(InvalidArgumentError);
});
