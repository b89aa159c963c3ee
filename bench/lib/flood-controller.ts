/** A controller that one device floods with packet-ins, while the probes are another device of it. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControllerName, onLoadCpu, startController } from './controllers.ts';
import { Helper } from './helper.ts';
import type { PacketInOptions, PacketInResult } from './packet-ins.ts';
import type { ProbeOptions, ProbeResult } from './probes.ts';
import { pssBytes } from './processes.ts';

const OPENFLOW_13 = 4;
const MEMORY_EVERY_MS = 250;
const SETTLE_MS = 500;

export interface ControllerFlood {
  /** A second, while the flood lasted. */
  offered: number;
  rate: number;
  sent: number;
  answered: number;
  /** Not taken by the controller's connection in time. */
  refused: number;
  memory: { before: number; peak: number; after: number };
  probes: ProbeResult;
  /** From the end of the flood to the last answer, ms. */
  drainMs: number;
}

function start(script: string, options: object): Helper {
  const [file, ...words] = onLoadCpu(script, options);
  return new Helper(spawn(file, words, { stdio: ['pipe', 'pipe', 'inherit'] }));
}

export async function floodController(
  name: ControllerName,
  rate: number,
  seconds: number,
): Promise<ControllerFlood> {
  const controller = await startController(name, OPENFLOW_13);
  const helpers: Helper[] = [];
  try {
    const { port, pid } = controller;
    const flood = start('packet-ins.ts', { port, rate, seconds } satisfies PacketInOptions);
    helpers.push(flood);
    const probes = start('probes.ts', { controller: port } satisfies ProbeOptions);
    helpers.push(probes);
    await flood.line();
    await probes.line();
    const memory = () => pssBytes(pid);
    const before = memory();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, memory());
    }, MEMORY_EVERY_MS);
    probes.say('begin');
    flood.say('go');
    const during = JSON.parse(await flood.line()) as PacketInResult;
    probes.say('end');
    const seen = JSON.parse(await probes.line()) as ProbeResult;
    const all = JSON.parse(await flood.line()) as PacketInResult;
    clearInterval(watch);
    await sleep(SETTLE_MS);
    const after = memory();
    return {
      offered: during.offered / during.seconds,
      rate: during.answered / during.seconds,
      sent: all.offered,
      answered: all.answered,
      refused: all.dropped,
      memory: { before, peak: Math.max(peak, after), after },
      probes: seen,
      drainMs: Math.max(0, (all.seconds - during.seconds) * 1000),
    };
  } finally {
    for (const helper of helpers) await helper.stop();
    await controller.stop();
  }
}
