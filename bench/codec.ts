/**
 * The codec on messages that controllers and switches exchange most, beside os-ken's on the same bytes. One
 * core: messages decoded (encoded) one after another for a while, median of five rounds. Allocation: what the
 * heap has grown by per message, garbage included, by V8's own count.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { getHeapStatistics } from 'node:v8';
import { decode, encode, type MessageInit, Port } from '../openflow/index.ts';
import type { Bench } from './lib/bench.ts';
import { median, round, spread } from './lib/report.ts';

const ROUNDS = 5;
const SECONDS = 0.5;
const FLOWS = 10_000;
/** Entries of one message of statistics: as many as fit. */
const FLOWS_PER_MESSAGE = 500;
const PEER = fileURLToPath(new URL('peers/osken_codec.py', import.meta.url));

/** A TCP segment of 100 bytes in an Ethernet frame. */
const FRAME = Uint8Array.from({ length: 100 }, (_, at) => (at * 37) & 255);
FRAME.set([0x0a, 0, 0x27, 0, 0, 2, 0x0a, 0, 0x27, 0, 0, 1, 0x08, 0x00, 0x45]);

const address = (index: number) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
const fiveTuple = (index: number) => ({
  in_port: 1 + (index % 48),
  eth_type: 0x800,
  ip_proto: 6,
  ipv4_src: address(index),
  ipv4_dst: '10.255.0.1',
  tcp_src: 1024 + (index % 60_000),
  tcp_dst: 443,
});

const flowStats = (first: number): MessageInit => ({
  type: 'multipart_reply',
  xid: 7,
  flags: first + FLOWS_PER_MESSAGE < FLOWS ? 1 : 0,
  body: {
    type: 'flow',
    flows: Array.from({ length: FLOWS_PER_MESSAGE }, (_, i) => ({
      table_id: 0,
      duration_sec: 100 + i,
      duration_nsec: 5_000_000,
      priority: 100,
      idle_timeout: 10,
      cookie: BigInt(first + i),
      packet_count: 1000n,
      byte_count: 64_000n,
      match: fiveTuple(first + i),
      instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: 2 }] }],
    })),
  },
});

const CASES: Record<string, readonly Uint8Array[]> = {
  'packet-in': [
    encode({ type: 'packet_in', xid: 1, total_len: 100, reason: 0, match: { in_port: 3 }, data: FRAME }),
  ],
  'flow-mod': [
    encode({
      type: 'flow_mod',
      xid: 2,
      priority: 100,
      idle_timeout: 10,
      match: fiveTuple(77),
      instructions: [
        {
          type: 'apply_actions',
          actions: [
            { type: 'set_field', field: { eth_dst: '0a:00:27:00:00:02' } },
            { type: 'output', port: 2 },
          ],
        },
      ],
    }),
  ],
  'packet-out': [
    encode({
      type: 'packet_out',
      xid: 3,
      in_port: 3,
      actions: [{ type: 'output', port: Port.FLOOD }],
      data: FRAME,
    }),
  ],
  'flow-stats, 10,000 entries': Array.from({ length: FLOWS / FLOWS_PER_MESSAGE }, (_, i) =>
    encode(flowStats(i * FLOWS_PER_MESSAGE)),
  ),
};

/** Kept so that no work can be left out as of no use. */
const kept: { last?: unknown } = {};

/** Messages per second of `work` on each item, over and over. */
function rate<T>(work: (item: T) => unknown, items: readonly T[]): number {
  const start = performance.now();
  for (let count = 0; ; ) {
    // Several rounds between looks at the clock, for messages that take less than a microsecond.
    for (let again = items.length > 1 ? 1 : 200; again > 0; again--) {
      for (const item of items) kept.last = work(item);
      count += items.length;
    }
    const elapsed = (performance.now() - start) / 1000;
    if (elapsed >= SECONDS) return count / elapsed;
  }
}

const allocated = (): number =>
  (getHeapStatistics() as unknown as { total_allocated_bytes: number }).total_allocated_bytes;

/** Bytes of heap per message. */
function bytesPer<T>(work: (item: T) => unknown, items: readonly T[]): number {
  const times = Math.ceil((items.length > 1 ? 200 : 50_000) / items.length);
  const before = allocated();
  for (let again = 0; again < times; again++) for (const item of items) kept.last = work(item);
  return (allocated() - before) / (times * items.length);
}

/**
 * Both measurements of a direction. What is encoded is only decoded then: values that stay would make V8 put
 * those of a later decode where long-lived ones are, at several times the cost.
 */
function workOf(direction: 'decode' | 'encode', messages: readonly Uint8Array[]) {
  if (direction === 'decode') {
    return { rates: () => rate(decode, messages), bytes: () => bytesPer(decode, messages) };
  }
  const decoded = messages.map((bytes) => decode(bytes));
  return { rates: () => rate(encode, decoded), bytes: () => bytesPer(encode, decoded) };
}

interface PeerRates {
  readonly decode?: number[];
  readonly encode?: number[];
}

function peerRates(rounds: number): Record<string, PeerRates> {
  const cases = Object.fromEntries(
    Object.entries(CASES).map(([name, list]) => [name, list.map((one) => Buffer.from(one).toString('hex'))]),
  );
  // Debian's own Python: it is what python3-os-ken is installed for.
  const peer = spawnSync('/usr/bin/python3', [PEER], {
    input: JSON.stringify({ cases, seconds: SECONDS, rounds }),
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  if (peer.status !== 0) throw new Error(`os-ken's codec could not be measured: ${peer.stderr.slice(-300)}`);
  return JSON.parse(peer.stdout) as Record<string, PeerRates>;
}

export const codec: Bench = {
  name: 'codec',
  title: 'OpenFlow 1.3 messages decoded and encoded a second, one core, beside os-ken',
  needs: ['osken-manager'],
  anyUser: true,
  minutes: 1.5,
  async run(session) {
    const rows: Record<string, string | number>[] = [];
    const ratios: Record<string, number> = {};
    session.progress("os-ken's codec");
    const peers = (await session.attempt("os-ken's codec", () => peerRates(session.rounds(ROUNDS)))) ?? {};
    for (const [name, messages] of Object.entries(CASES)) {
      session.progress(name);
      for (const direction of ['decode', 'encode'] as const) {
        const { rates, bytes } = workOf(direction, messages);
        rates();
        const own = Array.from({ length: session.rounds(ROUNDS) }, rates);
        const ours = median(own);
        const peer = peers[name]?.[direction];
        const theirs = peer === undefined ? undefined : median(peer);
        if (theirs !== undefined) ratios[`${name}, ${direction}, to os-ken`] = round(ours / theirs, 1);
        rows.push({
          message: name,
          direction,
          'messages/s': Math.round(ours),
          spread: spread(own),
          'entries/s': messages.length > 1 ? Math.round(ours * FLOWS_PER_MESSAGE) : '',
          'MB/s': round((ours * messages[0].length) / 1e6, 1),
          'bytes allocated': Math.round(bytes()),
          'os-ken messages/s': theirs === undefined ? 'cannot' : Math.round(theirs),
          'os-ken spread': spread(peer ?? []),
        });
      }
    }
    return { ratios, rows };
  },
};
