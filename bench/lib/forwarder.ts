/**
 * A switch of two ports without cells, for comparison: the agent's own ports, each frame parsed and sent out by the other
 * port. argv[2], argv[3]: the interfaces. Prints 'ready'; runs until it is ended.
 */
import pino from 'pino';
import { Clock } from '../../agent/clock.ts';
import { mapFrames } from '../../agent/ports/frame-memory.ts';
import { type Frame, FramePool } from '../../agent/ports/frames.ts';
import { Ports } from '../../agent/ports/ports.ts';
import { extractKey, KEY_WORDS } from '../../packet/index.ts';
import { DATA_MAX, NO_QUEUE } from '../../sandbox/channel/layout.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';

const loop = new PollLoop();
const FRAMES = 8192;
const pool = new FramePool(FRAMES, mapFrames(FRAMES));
const clock = new Clock();
const key = new Uint32Array(KEY_WORDS);
const at = { l3: 0, l4: 0 };

const forward = (frame: Frame): void => {
  extractKey(frame.bytes, frame.offset, Math.min(frame.length, DATA_MAX), frame.inPort, key, at);
  ports.get(3 - frame.inPort)?.send(frame, 0, 0, 0, NO_QUEUE);
  pool.release(frame);
};

const ports = new Ports({
  names: [process.argv[2], process.argv[3]],
  loop,
  pool,
  clock,
  sink: forward,
  busy: () => false,
  changed: () => undefined,
  logger: pino({ level: 'error' }),
});
loop.each(() => ports.flush());
loop.start();
ports.start();
process.stdout.write('ready\n');
