/**
 * The load generator of the controller's benchmark, a process of its own: as many switches as it is told of one
 * controller, cbench's way. Throughput mode keeps a window of packet-ins on the way to the controller, latency mode
 * one per switch. Argument: LoadOptions as JSON. Prints one LoadResult as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { encode, NO_BUFFER } from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import type { WireVersion } from '../../openflow/version-name.ts';
import { FakeSwitch, type Tally } from './fake-switch.ts';
import { cpuSeconds, pssBytes } from './processes.ts';

export interface LoadOptions {
  port: number;
  /** Wire version: 1 or 4. */
  version: WireVersion;
  switches: number;
  mode: 'throughput' | 'latency' | 'queries';
  /** Stations per switch that send, to one that is known. */
  macs: number;
  /** The switch keeps the packet, as cbench's do: answers have its number and no data. */
  buffered: boolean;
  warmUpMs: number;
  roundMs: number;
  rounds: number;
  /** The controller's process. */
  pid: number;
}

export interface LoadResult {
  /** From the first connection until every switch had an answer. */
  connectMs: number;
  /** Per second, of each round. */
  responses: number[];
  answered: number[];
  /** CPU time of the controller over the rounds, seconds, and of this process. */
  controllerCpu: number;
  generatorCpu: number;
  seconds: number;
  /** Of the controller at the end, MiB (proportional set size). */
  memoryMiB: number;
}

/** Packet-ins, or queries, on their way at once: in all, and of one switch. */
const WINDOW = 4096;
const MAX_PER_SWITCH = 512;
const MIN_PER_SWITCH = 4;
const LEARN_AGAIN_MS = 250;
const TIME_LIMIT_MS = 60_000;
const KNOWN = '02:ff:00:00:00:01';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const FRAME_BYTES = 64;
const QUERY_ID = 16;

const options = JSON.parse(process.argv[2]) as LoadOptions;
const queries = options.mode === 'queries';
const window =
  options.mode === 'latency'
    ? 1
    : Math.min(MAX_PER_SWITCH, Math.max(MIN_PER_SWITCH, Math.floor(WINDOW / options.switches)));

const bytesOf = (mac: string) => mac.split(':').map((part) => Number.parseInt(part, 16));
const hex = (value: number) => value.toString(16).padStart(2, '0');
const station = (index: number) =>
  `02:00:00:${hex(index >> 16)}:${hex((index >> 8) & 255)}:${hex(index & 255)}`;

function frame(src: string, dst: string): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  bytes.set([...bytesOf(dst), ...bytesOf(src), 0x08, 0x00, 0x45]);
  return bytes;
}

const dialect = createDialect(options.version)!;

function packetIn(src: string, dst: string, in_port: number, buffer_id: number): Uint8Array {
  const data = frame(src, dst);
  const rest = { total_len: data.length, reason: 0, match: { in_port }, data };
  return dialect.encode({ type: 'packet_in', xid: 0, buffer_id, ...rest })[0];
}

function query(src: string, dst: string, in_port: number, index: number): Uint8Array {
  const match = {
    in_port,
    eth_src: src,
    eth_dst: dst,
    vlan_vid: 0,
    eth_type: 0x0800,
    ip_proto: 17,
    ipv4_src: `10.0.${index >> 8}.${index & 255}`,
    ipv4_dst: '10.255.0.1',
    udp_src: 10_000,
    udp_dst: 53,
  };
  const data = frame(src, dst);
  return encode({ type: 'dispatch_query', query_id: 0, in_port, total_len: data.length, match, data });
}

/** What all switches send, over and over: messages of one length. */
const messages = Array.from({ length: options.macs }, (_, index) =>
  queries
    ? query(station(index), KNOWN, 1, index)
    : packetIn(station(index), KNOWN, 1, options.buffered ? index : NO_BUFFER),
);
const size = messages[0].length;
const prepared = Buffer.concat(messages);
/** Makes the destination known. */
const learn = queries
  ? query(KNOWN, station(0), 2, 0)
  : packetIn(KNOWN, BROADCAST, 2, options.buffered ? 255 : NO_BUFFER);

const tally: Tally = { responses: 0, answered: 0 };
let queryId = 0;

/** Sends the next `count` messages in one write. */
function send(device: FakeSwitch, count: number): void {
  device.outstanding += count;
  while (count > 0) {
    const run = Math.min(count, options.macs - device.next);
    const bytes = prepared.subarray(device.next * size, (device.next + run) * size);
    device.send(queries ? numbered(bytes) : bytes);
    device.next = (device.next + run) % options.macs;
    count -= run;
  }
}

/** Queries have numbers of their own. */
function numbered(bytes: Buffer): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let at = QUERY_ID; at < copy.length; at += size) copy.writeUInt32BE(++queryId, at);
  return copy;
}

let live = 0;
let loading = false;
const ready = Promise.withResolvers<void>();

function answered(device: FakeSwitch): void {
  if (!device.live) {
    device.live = true;
    if (++live === options.switches) ready.resolve();
    return;
  }
  if (!loading) return;
  const room = window - device.outstanding;
  // Writes of some size: a quarter of the window at least.
  if (room * 4 >= window) send(device, room);
}

/** Until the controller takes packets of this switch it drops them. */
function greet(device: FakeSwitch): void {
  if (device.live) return;
  device.send(queries ? numbered(Buffer.from(learn)) : learn);
  setTimeout(() => greet(device), LEARN_AGAIN_MS);
}

const limit = setTimeout(() => {
  process.stderr.write(`load: only ${live} of ${options.switches} switches were answered\n`);
  process.exit(1);
}, TIME_LIMIT_MS);

const begun = performance.now();
const devices = Array.from(
  { length: options.switches },
  (_, index) =>
    new FakeSwitch({
      port: options.port,
      version: options.version,
      id: index + 1,
      flowMode: queries,
      tally,
      connected: greet,
      answered,
    }),
);
await ready.promise;
clearTimeout(limit);
const connectMs = performance.now() - begun;
// Answers to a greeting sent twice may be on their way.
await sleep(2 * LEARN_AGAIN_MS);
loading = true;
for (const device of devices) {
  device.outstanding = 0;
  send(device, window);
}
await sleep(options.warmUpMs);

const result: LoadResult = {
  connectMs,
  responses: [],
  answered: [],
  controllerCpu: cpuSeconds(options.pid),
  generatorCpu: cpuSeconds(process.pid),
  seconds: 0,
  memoryMiB: 0,
};
for (let i = 0; i < options.rounds; i++) {
  const before = { ...tally };
  const start = performance.now();
  await sleep(options.roundMs);
  const seconds = (performance.now() - start) / 1000;
  result.responses.push((tally.responses - before.responses) / seconds);
  result.answered.push((tally.answered - before.answered) / seconds);
  result.seconds += seconds;
}
result.controllerCpu = cpuSeconds(options.pid) - result.controllerCpu;
result.generatorCpu = cpuSeconds(process.pid) - result.generatorCpu;
result.memoryMiB = pssBytes(options.pid) / 2 ** 20;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
