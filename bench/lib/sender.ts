/**
 * A generator in a process of its own: UDP frames as fast as they go (or at `rate`), until told to stop.
 * argv[2]: SenderOptions as JSON. Prints 'ready' when the frames are made; a line on standard input starts
 * it; prints how many frames were sent when `seconds` are over.
 */
import { createInterface } from 'node:readline';
import { flowFrames } from './frames.ts';
import { Blaster, Wire } from './wire.ts';

export interface SenderOptions {
  namespace: string;
  interface: string;
  /** Frame size in bytes without the checksum. */
  size: number;
  /** Number of different 5-tuples. */
  flows: number;
  seconds: number;
  srcMac: string;
  dstMac: string;
  srcIp: string;
  dstIp: string;
  /** Frames a second; 0: flat out. */
  rate: number;
}

const options: SenderOptions = JSON.parse(process.argv[2]);
const wire = new Wire(options.namespace, options.interface, false);
const blaster = new Blaster(wire, flowFrames(options));
process.stdout.write('ready\n');

createInterface({ input: process.stdin }).once('line', () => {
  const start = performance.now();
  const end = start + options.seconds * 1000;
  let sent = 0;
  let now = start;
  while (now < end) {
    if (options.rate === 0 || sent < ((now - start) * options.rate) / 1000) sent += blaster.burst();
    now = performance.now();
  }
  process.stdout.write(`${sent}\n`, () => process.exit());
});
