/** What each wall costs: the same cells behind `context`, `isolate` and `process`, without a network around them. */
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { encode, Port } from '../../openflow/index.ts';
import { ethernet, extractKey, ipv4, KEY_WORDS, udp } from '../../packet/index.ts';
import {
  builtInPrograms,
  type CellEvents,
  type CellHandle,
  type CellWall,
  type FrameRef,
  type OpenCallback,
  PollLoop,
  TenantHosts,
} from '../../sandbox/index.ts';
import { cpuSeconds, pssBytes } from './processes.ts';
import { median, spread } from './report.ts';

/** Cells of each wall: some for memory, and of those some that packets go through in turn, so many at a time each. */
const CELLS: Record<CellWall, number> = { context: 512, isolate: 256, process: 8 };
const FORWARDING = 8;
const BATCH = 32;
const ROUND_MS = 500;
const SETTLE_MS = 3000;
/** Packets go round for so long before they count. */
const START_MS = 500;
const TENANT = 900;

export interface WallCost {
  readonly wall: CellWall;
  readonly MiB_per_cell: number;
  /** Asked for to there, ms: one after the other, nothing warm. */
  readonly setup_ms: number;
  readonly kpps: number;
  readonly kpps_spread: string;
  readonly us_cpu_per_packet: number;
}

export async function measureWall(wall: CellWall, rounds: number): Promise<WallCost> {
  const loop = new PollLoop();
  loop.start();
  const events = new Counter();
  const [openflow] = await builtInPrograms();
  const logger = pino({ level: 'error' });
  const hosts = await TenantHosts.start<FrameRef>({
    ...{ tenant: TENANT, loop, events, programs: [openflow], poolSize: 1, maxApart: CELLS.process, logger },
  });
  try {
    const open = (id: number) =>
      new Promise<[CellHandle<FrameRef>, number]>((resolve, reject) => {
        const limits = { memoryMiB: 16, runMs: 50, wall };
        const callback: OpenCallback<FrameRef> = (error, cell, us) =>
          cell === null ? reject(error) : resolve([cell, us / 1000]);
        hosts.open({ id, program: openflow, limits, callback });
      });
    // The first brings what the others share.
    const cells = [(await open(1))[0]];
    const memory = () => pssBytes(...hosts.view().map(({ pid }) => pid));
    const before = memory();
    const setups: number[] = [];
    for (let id = 2; id <= CELLS[wall]; id++) {
      const [cell, ms] = await open(id);
      cells.push(cell);
      setups.push(ms);
    }
    await sleep(SETTLE_MS);
    const bytes = memory() - before;
    const forwarded = await forward(loop, hosts, events, cells.slice(0, FORWARDING), rounds);
    return {
      wall,
      MiB_per_cell: bytes / (CELLS[wall] - 1) / 2 ** 20,
      setup_ms: median(setups),
      kpps: median(forwarded.map(({ kpps }) => kpps)),
      kpps_spread: spread(forwarded.map(({ kpps }) => kpps)),
      us_cpu_per_packet: median(forwarded.map(({ cpuUs }) => cpuUs)),
    };
  } finally {
    await hosts.close();
    loop.stop();
  }
}

class Counter implements CellEvents<FrameRef> {
  packets = 0;
  verdict(cell: CellHandle<FrameRef>, { frame }: { frame: FrameRef }): void {
    this.packets++;
    this.next?.(cell, frame);
  }
  next: ((cell: CellHandle<FrameRef>, frame: FrameRef) => void) | undefined;
  message(): void {}
  ended(_cell: CellHandle<FrameRef>, end: string, detail: string): void {
    if (end !== 'closed') throw new Error(`a cell ended: ${end}, ${detail}`);
  }
  lost(): void {}
  drained(): void {}
}

/** As soon as a packet has come out of a cell the next goes in. */
async function forward(
  loop: PollLoop,
  hosts: TenantHosts<FrameRef>,
  events: Counter,
  cells: readonly CellHandle<FrameRef>[],
  rounds: number,
): Promise<{ kpps: number; cpuUs: number }[]> {
  const bytes = ethernet({
    type: 0x0800,
    payload: ipv4({ src: '10.0.0.1', dst: '10.0.0.2', proto: 17, payload: udp({ src: 1, dst: 2 }) }),
  });
  const key = new Uint32Array(KEY_WORDS);
  const at = { l3: 0, l4: 0 };
  extractKey(bytes, 0, bytes.length, 1, key, at);
  const entry = encode({
    type: 'flow_mod',
    match: { in_port: 1 },
    instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: Port.IN_PORT }] }],
  });
  const done: [CellHandle<FrameRef>, FrameRef][] = [];
  events.next = (cell, frame) => done.push([cell, frame]);
  const feed = (): boolean => {
    for (const [cell, frame] of done) cell.push(frame, key);
    done.length = 0;
    return false;
  };
  loop.each(feed);
  for (const cell of cells) {
    cell.send(entry);
    for (let i = 0; i < BATCH; i++) {
      const frame: FrameRef = {
        ...{ bytes, offset: 0, length: bytes.length, inPort: 1, flags: 0, csumStart: 0, csumOffset: 0 },
        ...{ l3Offset: at.l3, l4Offset: at.l4, packetOutXid: 0 },
      };
      cell.push(frame, key);
    }
  }
  hosts.kick();
  await sleep(START_MS);
  const cpu = () => cpuSeconds(process.pid, ...hosts.view().map(({ pid }) => pid));
  const results: { kpps: number; cpuUs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const [packets, cpu0, start] = [events.packets, cpu(), performance.now()];
    await sleep(ROUND_MS);
    const [count, used, ms] = [events.packets - packets, cpu() - cpu0, performance.now() - start];
    results.push({ kpps: count / ms, cpuUs: (used / count) * 1e6 });
  }
  events.next = undefined;
  loop.remove(feed);
  return results;
}
