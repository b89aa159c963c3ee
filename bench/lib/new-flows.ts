/**
 * A generator in a process of its own: frames that are each a flow never seen before, at a rate, whatever becomes of them.
 * argv[2]: NewFlowOptions as JSON. Prints 'ready' when the frames are made; a line on standard input starts it; prints how
 * many frames were sent when `seconds` are over.
 */
import { createInterface } from 'node:readline';
import { newFlowFrame } from './frames.ts';
import { Wire } from './wire.ts';

export interface NewFlowOptions {
  namespace: string;
  interface: string;
  dstMac: string;
  dstIp: string;
  /** Number of the first frame. */
  first: number;
  /** Frames a second. */
  rate: number;
  seconds: number;
}

const options = JSON.parse(process.argv[2]) as NewFlowOptions;
const wire = new Wire(options.namespace, options.interface, false);
const total = Math.round(options.rate * options.seconds);
const frames = Array.from({ length: total }, (_, i) =>
  newFlowFrame(options.first + i, options.dstMac, options.dstIp),
);
/** Sleeping, so that the device has the processor. */
const pause = new Int32Array(new SharedArrayBuffer(4));
const PAUSE_MS = 1;
process.stdout.write('ready\n');

createInterface({ input: process.stdin }).once('line', () => {
  const start = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, ((performance.now() - start) * options.rate) / 1000);
    while (sent < due) wire.send(frames[sent++]);
    Atomics.wait(pause, 0, 0, PAUSE_MS);
  }
  process.stdout.write(`${sent}\n`, () => process.exit());
});
