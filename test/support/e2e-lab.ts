/** A whole Flowcell on one machine, for end-to-end tests: namespaces, a controller process, an agent process. */

import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type ProbeReport, Traffic } from '../../cli/demo/hosts.ts';
import { answers, get, lines } from '../../cli/lib/local.ts';
import { agentSocket, controllerSocket } from '../../cli/lib/run-dir.ts';
import type { ControllerEvent, EventType } from '../../controller/index.ts';
import { ended, type Host, type NetNode, type Network, singleSwitch, stop } from '../../mininet/topology.ts';
import type { Match } from '../../openflow/index.ts';
import { ping } from './agent-lab.ts';
import type { TestProgram } from './e2e-controller.ts';
import { isRunning } from './processes.ts';

const ROOT = join(import.meta.dirname, '../..');
const FLOWCELL = join(ROOT, 'bin/flowcell');
const NODE = join(ROOT, 'bin/node');
const TEST_CONTROLLER = join(import.meta.dirname, 'e2e-controller.ts');
const SWITCH = join(import.meta.dirname, 'e2e-switch.ts');

const CONTROLLER_PORT = 6653;
const DATAPATH = '0000000000000001';
/** Longer than anything takes on a machine with other work; what is awaited is awaited no longer than it takes. */
export const WAIT_MS = 40_000;

export interface CellView {
  id: number;
  state: string;
  program: string;
  match: Match | null;
  packets: number;
  waiting: number;
  in_flight: number;
}

export interface RuleView {
  state: string;
  cell: number | null;
  match: Match;
  packets: number;
}

interface AgentStatus {
  connection: string;
  standalone: boolean;
  pending_flows: number;
  held_packets: number;
}

interface FrameCounters {
  frames: { size: number; available: number };
}

export interface FlowView {
  cell: number;
  stage: string;
  match: Match;
  adopted: boolean;
  entries: unknown[];
}

export interface CellEvent {
  cell: number;
  reason: string;
  detail: string;
}

/** Asks again until what there is fits: for what nothing announces. The error says what there was instead. */
export async function until<T>(what: string, ask: () => Promise<T>, fits: (value: T) => boolean): Promise<T> {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const value = await ask();
    if (fits(value)) return value;
    if (performance.now() > end) throw new Error(`${what}: waited in vain; ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves when none of these processes runs any more. */
export async function allEnded(pids: readonly number[]): Promise<void> {
  await until(
    'the end of processes',
    async () => pids.filter(isRunning),
    (left) => left.length === 0,
  );
}

/** A Flowcell process: its local socket says when it is there. */
class Service {
  readonly socket: string;
  readonly child: ChildProcess;
  #said = '';

  constructor(node: NetNode, socket: string, argv: readonly string[]) {
    this.socket = socket;
    this.child = node.spawn(argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-20_000);
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ready(): Promise<void> {
    const there = () => Promise.resolve(!this.running || answers(this.socket));
    await until(`${this.socket} to be listened on`, there, (yes) => yes);
    if (!this.running) throw new Error(`it did not start: ${this.#said}`);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await ended(this.child);
  }
}

export interface LabOptions {
  hosts?: number;
  /** Runs the test app with these programs before the learning switch; else `flowcell controller` runs. */
  programs?: TestProgram[];
  failMode?: 'secure' | 'standalone';
  poolSize?: number;
}

export class Lab {
  readonly net: Network<'s1', string>;
  readonly runDir: string;
  readonly agentSocket: string;
  readonly controllerSocket: string;
  /** What the controller has told since it was last started. */
  events: ControllerEvent[] = [];
  agent!: Service;
  controller!: Service;
  #watching = new AbortController();
  readonly #options: LabOptions;
  /** Frames the ports keep ready to receive into. */
  #armed = 0;

  /** Everything runs, is connected, and the hosts' ports are known. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const net = await singleSwitch(options.hosts ?? 2, { staticArp: true });
    const lab = new Lab(net, await mkdtemp(join(tmpdir(), 'e2e-')), options);
    try {
      await lab.startController();
      await lab.startAgent();
      const { frames } = await lab.agentGet<FrameCounters>('/counters');
      lab.#armed = frames.size - frames.available;
      await lab.meet();
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  private constructor(net: Network<'s1', string>, runDir: string, options: LabOptions) {
    this.net = net;
    this.runDir = runDir;
    this.#options = options;
    this.agentSocket = agentSocket(runDir, DATAPATH);
    this.controllerSocket = controllerSocket(runDir, CONTROLLER_PORT);
  }

  get hosts(): Readonly<Record<string, Host>> {
    return this.net.hosts;
  }

  async startController(): Promise<void> {
    const { programs } = this.#options;
    const argv =
      programs === undefined
        ? [
            ...[FLOWCELL, 'controller', '--host', '127.0.0.1', '--port', String(CONTROLLER_PORT)],
            ...['--app', SWITCH, '--run-dir', this.runDir, '--log-level', 'warn'],
          ]
        : [NODE, TEST_CONTROLLER, JSON.stringify({ port: CONTROLLER_PORT, runDir: this.runDir, programs })];
    this.controller = new Service(this.net.switches.s1, this.controllerSocket, argv);
    await this.controller.ready();
    this.#watching.abort();
    this.#watching = new AbortController();
    const events: ControllerEvent[] = [];
    this.events = events;
    await lines(this.controllerSocket, '/events', this.#watching.signal, (event) =>
      events.push(event as ControllerEvent),
    );
  }

  /** Resolves when the agent is connected, if there is a controller, and has cells warm. */
  async startAgent(): Promise<void> {
    const { s1 } = this.net.switches;
    const { failMode = 'secure', poolSize = 8 } = this.#options;
    this.agent = new Service(s1, this.agentSocket, [
      ...[FLOWCELL, 'agent', '--datapath-id', '1', '--controller', `127.0.0.1:${CONTROLLER_PORT}`],
      ...s1.ports.flatMap((name) => ['--port', name]),
      ...['--fail-mode', failMode, '--pool-size', String(poolSize)],
      ...['--run-dir', this.runDir, '--log-level', 'warn'],
    ]);
    await this.agent.ready();
    await until(
      'warm cells',
      () => this.#hosts(),
      (hosts) => hosts.some(({ warm }) => warm >= poolSize),
    );
    if (this.controller?.running) await this.connected();
  }

  async connected(): Promise<void> {
    await until(
      'the device',
      () => this.controllerGet<{ datapaths: unknown[] }>('/datapaths'),
      (state) => state.datapaths.length === 1,
    );
  }

  /** Every host pings every other once: the learning switch knows them all, and their flows' cells end. */
  async meet(): Promise<void> {
    const hosts = Object.values(this.hosts);
    for (const from of hosts) for (const to of hosts) if (from !== to) await this.ping(from, to);
  }

  /** Answers to `count` pings. */
  async ping(from: Host, to: Host, count = 1): Promise<number> {
    const { stdout } = await ping(from, to.ip, count);
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  }

  async agentGet<T>(path: string): Promise<T> {
    return await get<T>(this.agentSocket, path);
  }

  async controllerGet<T>(path: string): Promise<T> {
    return await get<T>(this.controllerSocket, path);
  }

  async cells(fits: (match: Match) => boolean): Promise<CellView[]> {
    const cells = await this.agentGet<CellView[]>('/cells');
    return cells.filter(({ match }) => match !== null && fits(match));
  }

  /** The controller's record of its flows. */
  async flows(fits: (match: Match) => boolean): Promise<FlowView[]> {
    const { flows } = await this.controllerGet<{ flows: FlowView[] }>('/flows');
    return flows.filter(({ match }) => fits(match));
  }

  /** Process id of the sandbox host; -1 while there is none. */
  async hostPid(): Promise<number> {
    return (await this.#hosts())[0].pid;
  }

  /** Resolves when there is another sandbox host than `before`, and it has cells warm. */
  async newHost(before: number): Promise<void> {
    await allEnded([before]);
    await until(
      'a new host',
      () => this.#hosts(),
      ([{ pid, warm }]) => pid !== -1 && pid !== before && warm > 0,
    );
  }

  async hostRestarts(): Promise<number> {
    return (await this.#hosts())[0].restarts;
  }

  #hosts(): Promise<{ pid: number; warm: number; restarts: number }[]> {
    return this.agentGet('/hosts');
  }

  /** The first event of that type about that rule, past or to come. */
  async event(type: EventType, cookie: string): Promise<CellEvent> {
    const fits = (event: ControllerEvent) => event.type === type && event.cookie === cookie;
    await until(
      `event ${type} of ${cookie}`,
      async () => this.events.slice(-20),
      (all) => all.some(fits),
    );
    return this.events.find(fits) as unknown as CellEvent;
  }

  /** Cookie of the n-th rule made for such flows, past or to come. */
  async rule(fits: (match: Match) => boolean, n = 0): Promise<string> {
    const rules = async () =>
      this.events
        .filter(({ type, match }) => type === 'rule' && fits(match as Match))
        .map(({ cookie }) => cookie);
    return (await until(`rule ${n}`, rules, (found) => found.length > n))[n] as string;
  }

  /**
   * Nothing is stuck: no flow waits, no packet is held or forgotten inside, all rules have a running cell, and
   * the controller's record says the same.
   */
  async settled(): Promise<void> {
    const state = async () => {
      const [status, counters, cells, rules] = await Promise.all([
        this.agentGet<AgentStatus>('/status'),
        this.agentGet<FrameCounters>('/counters'),
        this.agentGet<CellView[]>('/cells'),
        this.agentGet<RuleView[]>('/rules'),
      ]);
      return {
        connection: status.connection,
        pending: status.pending_flows,
        held: status.held_packets,
        framesAway: counters.frames.size - counters.frames.available - this.#armed,
        idle: cells.filter((cell) => cell.state !== 'running' || cell.waiting > 0 || cell.in_flight > 0),
        bare: rules.filter((rule) => rule.state === 'active' && rule.cell === null),
        asked: (await this.controllerGet<{ pending_flows: number }>('/status')).pending_flows,
        unknown: await this.#disagreement(),
      };
    };
    await expect.poll(state, { timeout: WAIT_MS }).toEqual({
      ...{ connection: 'established', pending: 0, held: 0, framesAway: 0, asked: 0 },
      ...{ idle: [], bare: [], unknown: [] },
    });
  }

  /** Cells that only one of the two knows. */
  async #disagreement(): Promise<number[]> {
    const [device, flows] = [await this.agentGet<RuleView[]>('/rules'), await this.flows(() => true)];
    const there = new Set(device.filter(({ state }) => state === 'active').map(({ cell }) => cell));
    const known = new Set(flows.filter(({ stage }) => stage === 'live').map(({ cell }) => cell));
    return [...there.symmetricDifference(known)].map(Number);
  }

  /** Ends all processes and removes everything, also after a failure in the middle. */
  async close(): Promise<void> {
    this.#watching.abort();
    for (const host of Object.values(this.hosts)) await host.stopAll();
    for (const service of [this.agent, this.controller]) if (service !== undefined) await stop(service.child);
    await this.net.close();
    await rm(this.runDir, { recursive: true, force: true });
  }
}

/** A steady flow of numbered packets whose every answer counts; `start` resolves at the first one. */
export class Probe {
  static #source = 40_000;
  readonly #traffic: Traffic;

  static async start(from: Host, to: string, port: number, perSecond = 200): Promise<Probe> {
    const probe = Probe.open(from, to, port, perSecond);
    await probe.answered();
    return probe;
  }

  /** `patienceMs`: how long finish() waits for answers that are missing; short where they will not come. */
  static open(from: Host, to: string, port: number, perSecond = 200, patienceMs?: number): Probe {
    const patience = patienceMs === undefined ? [] : [patienceMs];
    return new Probe(new Traffic(from, ['udp-probe', to, port, perSecond, ++Probe.#source, ...patience]));
  }

  private constructor(traffic: Traffic) {
    this.#traffic = traffic;
  }

  /** Once, at the first answer. */
  async answered(): Promise<void> {
    await this.#traffic.next();
  }

  async finish(): Promise<ProbeReport> {
    const report = await this.#traffic.finish<ProbeReport | { probing: number }>();
    // Its first answer may come, and be told of, before its end or never.
    return 'sent' in report ? report : await this.#traffic.next<ProbeReport>();
  }
}

export const udpTo = (port: number) => (match: Match) => match.udp_dst === port || match.udp_src === port;
