import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import {
  address,
  collect,
  datapathHex,
  datapathId,
  integer,
  interfaceName,
  oneOf,
  portSpec,
  protocols,
  queueSpec,
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

test.each([
  ['s1-eth1:0', { port: 's1-eth1', id: 0 }],
  ['eth0:7:max=10mbit', { port: 'eth0', id: 7, max: 10e6 }],
  ['eth0:7:min=1.5Gbit:max=2g', { port: 'eth0', id: 7, min: 1.5e9, max: 2e9 }],
  ['eth0:7:min=64000:max=100kbit', { port: 'eth0', id: 7, min: 64_000, max: 100_000 }],
])('queue %s', (text, queue) => {
  expect(queueSpec(text)).toEqual(queue);
});

test.each(['eth0', 'eth0:', ':1', 'eth0:x', 'eth0:1:', 'eth0:1:max', 'eth0:1:max=fast', 'eth0:1:min=1tbit'])(
  'no queue: %j',
  (text) => {
    expect(() => queueSpec(text)).toThrow(InvalidArgumentError);
  },
);

test("an interface's name is not empty, not long, and has no colon", () => {
  expect(interfaceName('fc-local')).toBe('fc-local');
  for (const text of ['', 'a:b', 'a/b', 'a b', 'sixteen-letters-']) {
    expect(() => interfaceName(text)).toThrow(InvalidArgumentError);
  }
});
