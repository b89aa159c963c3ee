/** What is too much for one run of a cell is done in several, and its packets see all of a change or nothing of it. */
import { expect, it } from 'vitest';
import { type InstructionInit, type Message, type MessageInit, MultipartFlag } from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { H, RUN } from '../../sandbox/channel/layout.ts';
import { type GuestHarness, slowHarness } from '../support/guest-harness.ts';

const COUNT = 2000;
const SEND_FLOW_REM = 1;
const CHECK_OVERLAP = 2;

const frame = ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp() }) });
const outputTo = (port: number): InstructionInit[] => [
  { type: 'apply_actions', actions: [{ type: 'output', port }] },
];
const barrier: MessageInit = { type: 'barrier_request', xid: 1 };
const removeAll: MessageInit = { type: 'flow_mod', command: 3, table_id: 255 };

/** COUNT entries that look no packet here in the eye, and one of least priority that sends it to port 2. */
const fill = (harness: GuestHarness, init: object = {}): void => {
  const match = (n: number) => ({ eth_type: 0x0800, ipv4_dst: `10.9.${n >> 8}.${n & 255}` });
  harness.ask(
    { type: 'flow_mod', instructions: outputTo(2) },
    ...Array.from({ length: COUNT }, (_, n): MessageInit => {
      return { type: 'flow_mod', priority: 9, match: match(n), ...init };
    }),
  );
};

interface Round {
  bits: number;
  ports: number[];
  answers: Message[];
}

/** Runs until nothing is left to do, with a packet always waiting. */
const rounds = (harness: GuestHarness, ...messages: MessageInit[]): Round[] => {
  harness.control(...messages);
  const all: Round[] = [];
  let bits: number;
  let idle = 0;
  do {
    if (harness.words[H.RX_TAIL] === harness.words[H.RX_HEAD]) harness.push(frame);
    bits = harness.run();
    const ports = harness.take().filter(({ kind }) => kind === 'output');
    all.push({ bits, ports: ports.map(({ port }) => port), answers: harness.messages() });
    idle = (bits & (RUN.MORE | RUN.BLOCKED)) === 0 ? idle + 1 : 0;
  } while (idle < 2);
  return all;
};

it.each([
  ['deleted', removeAll],
  ['modified', { type: 'flow_mod', command: 1, instructions: outputTo(3) } as MessageInit],
])('many entries are %s in many runs, and no packet meets half of it', (_what, message) => {
  const harness = slowHarness();
  fill(harness);
  const all = rounds(harness, message, barrier);
  expect(all.filter(({ ports, bits }) => ports.length === 0 && bits === RUN.MORE).length).toBeGreaterThan(20);
  const seen = new Set(all.flatMap(({ ports }) => ports));
  expect(seen).not.toContain(2);
  expect(all.flatMap(({ answers }) => answers)).toMatchObject([{ type: 'barrier_reply', xid: 1 }]);
});

it('a search for overlapping entries takes several runs too', () => {
  const harness = slowHarness();
  fill(harness);
  const overlapping: MessageInit = {
    type: 'flow_mod',
    flags: CHECK_OVERLAP,
    priority: 9,
    table_id: 0,
    xid: 3,
  };
  const all = rounds(harness, overlapping);
  expect(all.filter(({ bits }) => bits === RUN.MORE).length).toBeGreaterThan(0);
  expect(all.flatMap(({ answers }) => answers)).toMatchObject([
    { type: 'error', xid: 3, error_type: 5, code: 3 },
  ]);
});

it('packets go on between the parts of a long reply, which holds little memory at a time', () => {
  const harness = slowHarness();
  fill(harness);
  const all = rounds(harness, { type: 'multipart_request', xid: 4, body: { type: 'flow' } });
  const replies = all.flatMap(({ answers }) => answers);
  expect(replies.length).toBeGreaterThan(5);
  let entries = 0;
  replies.forEach((reply, i) => {
    if (reply.type !== 'multipart_reply' || reply.body.type !== 'flow') throw new Error(reply.type);
    expect((reply.flags & MultipartFlag.MORE) !== 0).toBe(i < replies.length - 1);
    entries += reply.body.flows.length;
  });
  expect(entries).toBe(COUNT + 1);
  const first = all.findIndex(({ answers }) => answers.length > 0);
  const last = all.findLastIndex(({ answers }) => answers.length > 0);
  const between = all.slice(first, last).flatMap(({ ports }) => ports);
  expect(between.length).toBeGreaterThan(10);
  expect(new Set(between)).toEqual(new Set([2]));
});

it('entries that time out together leave in several runs, each once', () => {
  const harness = slowHarness();
  fill(harness, { hard_timeout: 1, flags: SEND_FLOW_REM });
  harness.now = 2000;
  const all = rounds(harness);
  const gone = all.flatMap(({ answers }) => answers);
  expect(gone).toHaveLength(COUNT);
  expect(new Set(gone.map(({ type }) => type))).toEqual(new Set(['flow_removed']));
  expect(all.filter(({ answers }) => answers.length > 0).length).toBeGreaterThan(20);
});

it('a transaction that fails is taken back in several runs, and packets have seen nothing of it', () => {
  const harness = slowHarness();
  fill(harness);
  const all = rounds(
    harness,
    { type: 'transaction', phase: 0 },
    removeAll,
    { type: 'flow_mod', table_id: 254, xid: 7 },
    { type: 'transaction', phase: 1, xid: 8 },
  );
  const answers = all.flatMap(({ answers }) => answers);
  expect(answers.map(({ type, xid }) => [type, xid])).toEqual([
    ['error', 7],
    ['error', 8],
  ]);
  expect(all.filter(({ ports, bits }) => ports.length === 0 && bits === RUN.MORE).length).toBeGreaterThan(40);
  expect(new Set(all.flatMap(({ ports }) => ports))).toEqual(new Set([2]));
  const [sum] = harness.ask({ type: 'multipart_request', body: { type: 'aggregate' } });
  expect(sum).toMatchObject({ body: { flow_count: COUNT + 1 } });
});

it('a packet sent out waits for its message, however many come before it', () => {
  const harness = slowHarness();
  const out: MessageInit = { type: 'packet_out', xid: 5, actions: [{ type: 'output', port: 7 }] };
  harness.control(...Array.from({ length: 20 }, () => barrier), out);
  expect(harness.send(frame, { packetOut: 5 }).map(({ port }) => port)).toEqual([7]);
});
