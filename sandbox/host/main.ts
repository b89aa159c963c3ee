/**
 * The sandbox host: an OS process without privileges that holds the isolates of one tenant's flows.
 * Started by sandbox/client/process.ts; arguments and inherited descriptors as in channel/control.ts.
 */
import { Socket } from 'node:net';
import {
  CONTROL_BYTES,
  HOST_FD,
  type HostArguments,
  LineReader,
  type ToAgent,
  type ToHost,
} from '../channel/control.ts';
import { REGION_BYTES } from '../channel/layout.ts';
import { EventFd, raw } from '../sys/libc.ts';
import { PollLoop } from '../sys/loop.ts';
import { MappedMemory } from '../sys/memory.ts';
import { Builder } from './builder.ts';
import { Cells } from './cells.ts';
import { lockDown } from './lockdown.ts';
import { kindOf, Pool } from './pool.ts';
import { Watchdog } from './watchdog.ts';

const USAGE_MS = 1000;
const SIGKILL = 9;

/** process.exit() waits for isolated-vm's threads, and a looping isolate never lets them go. */
function die(): never {
  process.kill(process.pid, SIGKILL);
  throw new Error('unreachable');
}

function fail(error: unknown): never {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  // Straight to the descriptor: nothing asynchronous happens any more. Whether it worked must not matter: when
  // the agent is dead there is nobody to read it, and this process must end all the same.
  const bytes = Buffer.from(`${text}\n`);
  raw.write(2, bytes as unknown as bigint, bytes.length);
  die();
}

async function main(): Promise<void> {
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  const { uid, budget, cells: capacity } = JSON.parse(process.argv[2]!) as HostArguments;
  const bytes = CONTROL_BYTES + capacity * REGION_BYTES;
  const memory = new MappedMemory(HOST_FD.MEMORY, bytes);
  const toHost = new EventFd(HOST_FD.TO_HOST);
  const toAgent = new EventFd(HOST_FD.TO_AGENT);
  const control = new Socket({ fd: HOST_FD.CONTROL, readable: true, writable: true });
  // Without its agent a host has no purpose. From the start on: the agent may end while this process begins.
  control.on('close', die);
  control.on('error', die);
  const send = (message: ToAgent): void => void control.write(`${JSON.stringify(message)}\n`);

  const loop = new PollLoop();
  loop.watch(toHost.fd, () => toHost.drain());
  const watchdog = await Watchdog.create(fail);
  const builder = await Builder.create(HOST_FD.MEMORY);
  const words = new Int32Array(memory.buffer);
  const cells = new Cells({ memory: HOST_FD.MEMORY, words, loop, watchdog, toAgent, budget, send });
  const pool = new Pool(builder, capacity, {
    warm: (index, built, shelf) => cells.add(index, built, shelf),
    failed: (shelf, reason, detail) => send({ type: 'failed', ...kindOf(shelf), reason, detail }),
    // Not before the agent can know which program it was.
    stuck: (error) => void control.write('', () => fail(error)),
  });
  cells.pool = pool;

  const receive = (message: ToHost): void => {
    if (message.type === 'program') {
      const { hash, runtime, uploaded, target, memoryMiB } = message;
      const program = {
        hash,
        runtime: { code: runtime },
        uploaded: uploaded === null ? null : { code: uploaded },
      };
      pool.addProgram(program, target, memoryMiB);
    } else if (message.type === 'make') pool.make(message);
    else cells.release(message.index);
  };
  const lines = new LineReader();
  control.on('data', (chunk: Buffer) => lines.push(chunk, (message) => receive(message as ToHost)));

  // Time zone data, and whatever else is loaded at first use, while files can still be opened.
  new Date().toString();
  const notices = lockDown(uid);
  setInterval(() => {
    const usage = cells.usage();
    if (usage.length > 0) send({ type: 'usage', cells: usage });
  }, USAGE_MS);
  loop.start();
  send({ type: 'ready', pid: process.pid, notices });
}

main().catch(fail);
