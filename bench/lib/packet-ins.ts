/**
 * A device that sends its controller packet-ins at a rate, whatever becomes of them, in a process of its own. What the
 * connection does not take is dropped and counted, as a real device does. argv[2]: PacketInOptions as JSON. Prints
 * 'ready' when the controller answers; a line on standard input starts it; prints PacketInResult as JSON when `seconds`
 * are over, and again when no answers come any more.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { FakeSwitch, type Tally } from './fake-switch.ts';
import { BROADCAST, packetInOf } from './frames.ts';

export interface PacketInOptions {
  port: number;
  /** A second. */
  rate: number;
  seconds: number;
}

export interface PacketInResult {
  /** Meant to be sent; dropped because the controller does not read; answered. */
  offered: number;
  dropped: number;
  answered: number;
  /** Since the start, until the last answer. */
  seconds: number;
}

/** Bytes that may wait for the controller, as much as an agent lets wait. */
const BACKLOG_BYTES = 4 << 20;
const STATIONS = 1000;
const AGAIN_MS = 100;
const TICK_MS = 1;
const SILENCE_MS = 500;
const DEVICE_ID = 0xf100d;
const KNOWN = '02:ff:00:00:00:01';

const options = JSON.parse(process.argv[2]) as PacketInOptions;
const station = (index: number) =>
  `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`;
const messages = Array.from({ length: STATIONS }, (_, index) => packetInOf(station(index), KNOWN, 1));
const size = messages[0].length;
const prepared = Buffer.concat(messages);

const tally: Tally = { responses: 0, answered: 0 };
const ready = Promise.withResolvers<void>();
const device = new FakeSwitch({
  ...{ port: options.port, version: 4 as const, id: DEVICE_ID, flowMode: false, tally },
  connected: (self) => {
    // Makes the destination known, and shows that the controller is there.
    const greeting = setInterval(() => self.send(packetInOf(KNOWN, BROADCAST, 2)), AGAIN_MS);
    ready.promise.then(() => clearInterval(greeting));
  },
  answered: () => {
    last = performance.now();
    ready.resolve();
  },
});
let last = 0;
await ready.promise;
// Answers to a greeting sent twice may be on their way.
await sleep(2 * AGAIN_MS);
process.stdout.write('ready\n');

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await lines.next();
const result: PacketInResult = { offered: 0, dropped: 0, answered: 0, seconds: 0 };
tally.answered = 0;
const start = performance.now();
let next = 0;

function send(count: number): void {
  result.offered += count;
  while (count > 0) {
    const run = Math.min(count, STATIONS - next);
    if (device.backlog > BACKLOG_BYTES) result.dropped += run;
    else device.send(prepared.subarray(next * size, (next + run) * size));
    next = (next + run) % STATIONS;
    count -= run;
  }
}

function report(seconds: number): void {
  process.stdout.write(`${JSON.stringify({ ...result, answered: tally.answered, seconds })}\n`);
}

const flood = setInterval(() => {
  const elapsed = (performance.now() - start) / 1000;
  const due = Math.floor(Math.min(elapsed, options.seconds) * options.rate) - result.offered;
  if (due > 0) send(due);
  if (elapsed < options.seconds) return;
  clearInterval(flood);
  report(elapsed);
  const silence = setInterval(() => {
    if (performance.now() - last < SILENCE_MS) return;
    clearInterval(silence);
    report((last - start) / 1000);
    process.exit(0);
  }, TICK_MS * 50);
}, TICK_MS);
