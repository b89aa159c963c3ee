/** The flow cache's kernel programs (run by BPF_PROG_TEST_RUN, as root) against frames built from scratch. */
import { availableParallelism } from 'node:os';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { testRun } from '../../agent/fastpath/bpf.ts';
import { Edits } from '../../agent/fastpath/edits.ts';
import { emptyShape, shapeOf, writeKey } from '../../agent/fastpath/flow-key.ts';
import { ENTRY, KEY_BYTES, KEY_SPACE } from '../../agent/fastpath/layout.ts';
import { KernelCache } from '../../agent/fastpath/maps.ts';
import { ethernet, icmp, ipv4, ipv6, tcp, udp, vlan } from '../../packet/index.ts';

const LOOPBACK = 1;
const TC = { NEXT: -1, DROP: 2, REDIRECT: 7 };
const TO_SOCKET = -1;
const INDEX = 5;

let cache: KernelCache;
beforeAll(() => {
  cache = new KernelCache(64);
});
afterAll(() => cache.close());

const keyOf = (frame: Uint8Array): Uint8Array | undefined => {
  const shape = emptyShape();
  if (!shapeOf(frame, 0, frame.length, shape)) return undefined;
  const key = new Uint8Array(KEY_SPACE);
  writeKey(frame, 0, shape, LOOPBACK, key);
  return key;
};

/** An entry that makes the second frame of the first; undefined: it cannot be said. */
const entryFor = (frame: Uint8Array, wanted: Uint8Array): Uint8Array | undefined => {
  const shape = emptyShape();
  const edits = new Edits();
  if (!shapeOf(frame, 0, frame.length, shape)) return undefined;
  const head = { bytes: wanted, offset: 0, length: wanted.length, consumed: frame.length };
  if (!edits.derive(frame, 0, shape, head)) return undefined;
  const entry = edits.entry.slice();
  const fields = new DataView(entry.buffer);
  entry.set(keyOf(frame)!, ENTRY.KEY);
  fields.setUint32(ENTRY.MAX_LENGTH, 1514, true);
  fields.setUint32(ENTRY.OUTPUT, LOOPBACK, true);
  return entry;
};

/** The filter's answer. BPF_PROG_TEST_RUN gives it what is behind an Ethernet header. */
const filter = (frame: Uint8Array): number => {
  const padded = new Uint8Array(frame.length + 14);
  padded.set(frame, 14);
  return testRun(cache.filter, padded).result;
};

/** Has the filter decide, for whichever CPU comes next, and the tc program act. */
const forward = (frame: Uint8Array) => {
  const key = new Uint32Array(1);
  const decisions = new Uint32Array(2 * Math.max(availableParallelism(), 64));
  decisions.fill(0);
  cache.decision.update(key, decisions);
  const kept = filter(frame) !== TO_SOCKET;
  cache.decision.lookup(key, decisions);
  for (let i = 0; i < decisions.length; i += 2) {
    if (decisions[i] === 0) continue;
    const [entry, ifindex] = [decisions[i], decisions[i + 1]];
    for (let j = 0; j < decisions.length; j += 2) decisions.set([entry, ifindex], j);
    break;
  }
  cache.decision.update(key, decisions);
  return { kept, ...testRun(cache.forward, frame) };
};

const withEntry = <T>(frame: Uint8Array, entry: Uint8Array, run: () => T): T => {
  const key = keyOf(frame)!.subarray(0, KEY_BYTES);
  cache.insert(key, INDEX, entry);
  try {
    return run();
  } finally {
    cache.remove(key);
  }
};

const mac = fc.integer({ min: 1, max: 250 }).map((n) => `02:00:00:00:${n.toString(16).padStart(2, '0')}:01`);
const port = fc.integer({ min: 1, max: 65535 });
const byte = fc.integer({ min: 0, max: 255 });
const fields = fc.record({
  dstMac: mac,
  srcMac: mac,
  src: byte,
  dst: byte,
  tos: byte,
  sport: port,
  dport: port,
});
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never;
const ONE: Fields = {
  dstMac: '02:00:00:00:00:02',
  srcMac: '02:00:00:00:00:01',
  src: 1,
  dst: 2,
  tos: 0,
  sport: 5,
  dport: 6,
};
const packets = fc.record({
  v6: fc.boolean(),
  tcp: fc.boolean(),
  ttl: fc.integer({ min: 10, max: 255 }),
  flabel: fc.integer({ min: 0, max: 0xfffff }),
  id: port,
  payload: fc.uint8Array({ maxLength: 90 }),
});
type Packet = typeof packets extends fc.Arbitrary<infer T> ? T : never;

const build = (f: Fields, p: Packet, ttl = p.ttl): Uint8Array => {
  const l4 = (p.tcp ? tcp : udp)({ src: f.sport, dst: f.dport, payload: p.payload });
  const proto = p.tcp ? 6 : 17;
  const payload = p.v6
    ? ipv6({
        src: `fd00::${f.src.toString(16)}`,
        dst: `fd00::1:${f.dst.toString(16)}`,
        proto,
        hopLimit: ttl,
        trafficClass: f.tos,
        flabel: p.flabel,
        payload: l4,
      })
    : ipv4({
        src: `10.0.0.${f.src}`,
        dst: `10.0.1.${f.dst}`,
        proto,
        ttl,
        dscp: f.tos >> 2,
        ecn: f.tos & 3,
        id: p.id,
        payload: l4,
      });
  return ethernet({ dst: f.dstMac, src: f.srcMac, type: p.v6 ? 0x86dd : 0x0800, payload });
};

it('rewrites every packet of a flow as the cell rewrote one, checksums and all', () => {
  const changes = fc.record({ which: fc.integer({ min: 0, max: 127 }), ttl: fc.integer({ min: 0, max: 3 }) });
  fc.assert(
    fc.property(fields, fields, packets, packets, changes, (before, after, first, second, { which, ttl }) => {
      const now: Fields = { ...before };
      const names = Object.keys(before) as (keyof Fields)[];
      names.forEach((name, i) => {
        if (which & (1 << i)) Object.assign(now, { [name]: after[name] });
      });
      // One flow: the other packet differs in what is not in the key.
      const other = { ...second, v6: first.v6, tcp: first.tcp };
      const [frame, later] = [build(before, first), build(before, other)];
      const entry = entryFor(frame, build(now, first, first.ttl - ttl));
      expect(entry).toBeDefined();
      withEntry(frame, entry!, () => {
        const packetsBefore = cache.packets(INDEX);
        const { kept, result, frame: sent } = forward(later);
        expect([kept, result]).toEqual([true, TC.REDIRECT]);
        expect(Buffer.from(sent).toString('hex')).toBe(
          Buffer.from(build(now, other, other.ttl - ttl)).toString('hex'),
        );
        expect(cache.packets(INDEX) - packetsBefore).toBe(1);
      });
    }),
    { numRuns: 300 },
  );
});

it('leaves alone what has another key, and what the key does not tell apart', () => {
  const p: Packet = { v6: false, tcp: false, ttl: 64, flabel: 0, id: 1, payload: new Uint8Array(30) };
  const frame = build(ONE, p);
  withEntry(frame, entryFor(frame, frame)!, () => {
    expect(filter(frame)).not.toBe(TO_SOCKET);
    const others: [string, Uint8Array][] = [
      ...Object.entries({
        dstMac: '02:00:00:00:00:09',
        srcMac: '02:00:00:00:00:09',
        src: 9,
        dst: 9,
        tos: 4,
        sport: 9,
        dport: 9,
      }).map(([name, value]): [string, Uint8Array] => [name, build({ ...ONE, [name]: value }, p)]),
      ['protocol', build(ONE, { ...p, tcp: true })],
      ['IPv6', build(ONE, { ...p, v6: true })],
      ['TTL 0', build(ONE, p, 0)],
      ['tag', vlan(frame, { vid: 7 })],
      [
        'fragment',
        ethernet({
          type: 0x0800,
          payload: ipv4({
            proto: 17,
            src: '10.0.0.1',
            dst: '10.0.1.2',
            moreFragments: true,
            payload: udp({ src: 5, dst: 6 }),
          }),
        }),
      ],
      [
        'options',
        ethernet({
          type: 0x0800,
          payload: ipv4({
            proto: 17,
            src: '10.0.0.1',
            dst: '10.0.1.2',
            options: Uint8Array.of(1, 1, 1, 1),
            payload: udp({ src: 5, dst: 6 }),
          }),
        }),
      ],
      [
        'ICMP',
        ethernet({
          type: 0x0800,
          payload: ipv4({ proto: 1, src: '10.0.0.1', dst: '10.0.1.2', payload: icmp() }),
        }),
      ],
      ['too long', build(ONE, { ...p, payload: new Uint8Array(1500) })],
      ['cut off', frame.subarray(0, 37)],
    ];
    for (const [what, other] of others) expect([what, filter(other)]).toEqual([what, TO_SOCKET]);
  });
  expect(filter(frame)).toBe(TO_SOCKET);
});

it('takes packets off their way whose TTL runs out', () => {
  for (const v6 of [false, true]) {
    const p: Packet = { v6, tcp: true, ttl: 64, flabel: 0, id: 1, payload: new Uint8Array(0) };
    const frame = build(ONE, p);
    withEntry(frame, entryFor(frame, build(ONE, p, 63))!, () => {
      expect(filter(build(ONE, p, 1))).toBe(TO_SOCKET);
      expect(filter(build(ONE, p, 2))).not.toBe(TO_SOCKET);
    });
  }
});

it('drops, and does nothing of its own accord', () => {
  const frame = ethernet({
    type: 0x0800,
    payload: ipv4({ proto: 17, payload: udp({ payload: new Uint8Array(20) }) }),
  });
  const entry = entryFor(frame, frame)!;
  new DataView(entry.buffer).setUint32(ENTRY.OUTPUT, 0, true);
  withEntry(frame, entry, () => expect(forward(frame).result).toBe(TC.DROP));
  // The kernel may have given the key's element to another flow: the entry tells whose it is.
  entry[ENTRY.KEY + 30] ^= 1;
  withEntry(frame, entry, () => expect(forward(frame)).toMatchObject({ kept: false, result: TC.NEXT }));
  expect(forward(frame).result).toBe(TC.NEXT);
});

it('has no entry for what it cannot say', () => {
  const frame = ethernet({
    type: 0x0800,
    payload: ipv4({ proto: 17, id: 5, payload: udp({ payload: new Uint8Array(20) }) }),
  });
  const changed = (at: number) => {
    const other = frame.slice();
    other[at] ^= 1;
    return entryFor(frame, other);
  };
  expect(entryFor(frame, frame)).toBeDefined();
  // Identification, fragment, protocol, length of UDP, payload.
  for (const at of [18, 20, 23, 38, 50]) expect([at, changed(at)]).toEqual([at, undefined]);
  const raised = frame.slice();
  raised[22] = 65;
  expect(entryFor(frame, raised)).toBeUndefined();
});
