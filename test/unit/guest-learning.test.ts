import { expect, it } from 'vitest';
import { ethernet, vlan } from '../../packet/index.ts';
import { LearningSwitch } from '../../sandbox/guest/learning.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const FLOOD = 0xfffffffb;
const mac = (n: number) =>
  `02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
const frame = (src: string, dst: string) => ethernet({ src, dst, type: 0x88b5, payload: new Uint8Array(46) });

function setUp() {
  const harness = new GuestHarness(new LearningSwitch());
  const send = (src: string, dst: string, inPort: number, vid?: number) => {
    const plain = frame(src, dst);
    return harness.send(vid === undefined ? plain : vlan(plain, { vid }), { inPort }).map(({ port }) => port);
  };
  return { harness, send };
}

it('floods to the unknown, learns, and sends to the known', () => {
  const { send } = setUp();
  expect(send(mac(1), mac(2), 1)).toEqual([FLOOD]);
  expect(send(mac(2), mac(1), 2)).toEqual([1]);
  expect(send(mac(1), mac(2), 1)).toEqual([2]);
  expect(send(mac(3), mac(1), 1)).toEqual([]);
  expect(send(mac(1), mac(2), 5)).toEqual([2]);
  expect(send(mac(2), mac(1), 2)).toEqual([5]);
  expect(send(mac(1), 'ff:ff:ff:ff:ff:ff', 5)).toEqual([FLOOD]);
  expect(send(mac(1), '01:80:c2:00:00:0e', 5)).toEqual([]);
});

it('keeps VLANs apart, learns no group address, and forgets after five minutes', () => {
  const { harness, send } = setUp();
  send(mac(1), mac(2), 1, 10);
  expect(send(mac(2), mac(1), 2, 20)).toEqual([FLOOD]);
  expect(send(mac(2), mac(1), 2, 10)).toEqual([1]);
  send('03:00:00:00:00:01', mac(9), 4);
  expect(send(mac(2), '03:00:00:00:00:01', 2)).toEqual([FLOOD]);
  harness.now = 300_000;
  expect(send(mac(2), mac(1), 2, 10)).toEqual([1]);
  harness.now = 300_001;
  expect(send(mac(2), mac(1), 2, 10)).toEqual([FLOOD]);
});

it('goes on with more addresses than it can keep', () => {
  const { send } = setUp();
  for (let n = 0; n < 6000; n++) send(mac(n), mac(60_000), 1 + (n % 4));
  expect(send(mac(60_000), mac(5999), 9)).toEqual([1 + (5999 % 4)]);
});
