/** The demo itself; runs as root (of the machine, or of a user namespace). */

import { mkdir, rm, rmdir } from 'node:fs/promises';
import { type Network, topology } from '../../mininet/topology.ts';
import { outerGone } from '../../mininet/userns.ts';
import { bytes, integer, micros } from '../lib/format.ts';
import { answers, get, lines, post } from '../lib/local.ts';
import { datapathHex, OPENFLOW_PORT } from '../lib/options.ts';
import { agentSocket, controllerSocket } from '../lib/run-dir.ts';
import { type NewFlowsReport, type ProbeReport, ping, serve, Traffic, type TransferReport } from './hosts.ts';
import { Narrator } from './narrator.ts';
import { busiestCells, CellPanel } from './panel.ts';
import { check, emptyResult } from './result.ts';
import { Service } from './service.ts';
import { type Event, type FlowStory, Story } from './story.ts';
import { View } from './view.ts';

export interface DemoOptions {
  runDir: string;
  json: boolean;
  keep: boolean;
  /** Root in a user namespace only. */
  unprivileged: boolean;
  /** Parallel TCP connections. */
  connections: number;
  /** Transferred over all of them, 10^6 bytes. */
  megabytes: number;
}

/** Cells that the agent keeps warm. */
const POOL_SIZE = 64;
/** How long it may take to fill the pool at the start; a slow machine begins with fewer warm cells. */
const POOL_TIMEOUT_MS = 20_000;
/** New UDP flows for the set-up times: fewer than there are warm cells. */
const NEW_FLOWS = 50;
const PROBES_PER_SECOND = 200;
/** How long the probes go on before the kill and after the flow has its new cell. */
const PROBE_MARGIN_MS = 1000;
const RECOVERY_TIMEOUT_MS = 10_000;
const ECHO_PORT = 7007;
const TCP_PORT = 5001;
const VICTIM_PORT = 40001;
const BYSTANDER_PORT = 40002;

/** Ends with Ctrl-C, with SIGTERM, and with the process outside of the user namespace. */
class Interrupted extends Error {}

type DemoNetwork = Network<'s1', 'h1' | 'h2' | 'h3'>;

class Demo {
  readonly result = emptyResult();
  readonly #options: DemoOptions;
  readonly #view: View;
  readonly #narrator: Narrator;
  readonly #story = new Story();
  readonly #watching = new AbortController();
  readonly #cleanups: (() => Promise<unknown>)[] = [];
  #closed = false;
  /** Called with every flow that is live. */
  readonly #liveWatchers = new Set<(flow: FlowStory) => void>();
  #deviceConnected: () => void = () => undefined;
  #net!: DemoNetwork;
  #agent!: Service;
  /** Rejects when something everything rests on is gone. */
  #broken!: Promise<never>;

  constructor(options: DemoOptions, view: View) {
    this.#options = options;
    this.#view = view;
    this.#narrator = new Narrator(view);
  }

  async run(): Promise<void> {
    await this.#start();
    await this.#whole(this.#ping());
    await this.#whole(this.#newFlows());
    await this.#whole(this.#transfer());
    await this.#whole(this.#isolation());
    this.#summary();
    if (this.#options.keep) await this.#whole(this.#hold());
  }

  /** Waits for a part of the demo, or for the end of what it rests on. */
  async #whole<T>(part: Promise<T>): Promise<T> {
    return await Promise.race([part, this.#broken]);
  }

  async #start(): Promise<void> {
    const { runDir } = this.#options;
    this.#view.heading('Three hosts and a switch, each in a network namespace of its own');
    const created = await mkdir(runDir, { recursive: true, mode: 0o700 });
    if (created !== undefined) this.#later(() => rmdir(runDir).catch(() => undefined));
    const began = performance.now();
    const making = topology({
      switches: { s1: {} },
      hosts: { h1: {}, h2: {}, h3: {} },
      links: [
        ['h1', 's1'],
        ['h2', 's1'],
        ['h3', 's1'],
      ],
    });
    // It cannot be stopped half way: an early end waits for it and then takes it down.
    this.#later(async () => {
      const made = await making.catch(() => undefined);
      await made?.close();
    });
    const net = await making;
    this.#net = net;
    const { h1, h2, h3, s1 } = { ...net.hosts, ...net.switches };
    this.#view.log(`  ${h1.name} ${h1.ip} ── port 1 ┐`);
    this.#view.log(
      `  ${h2.name} ${h2.ip} ── port 2 ┼─ ${s1.name}    (made in ${ms(performance.now() - began)})`,
    );
    this.#view.log(`  ${h3.name} ${h3.ip} ── port 3 ┘`);

    // Others may run on this machine; only what is dead is taken over.
    const port = await free(OPENFLOW_PORT, (n) => answers(controllerSocket(runDir, n)));
    const dpid = await free(1, (n) => answers(agentSocket(runDir, datapathHex(BigInt(n)))));
    const controllerPath = controllerSocket(runDir, port);
    const agentPath = agentSocket(runDir, datapathHex(BigInt(dpid)));

    const start = async (name: string, socket: string, argv: string[]) => {
      if (this.#closed) throw new Interrupted();
      const at = performance.now();
      const service = Service.start(s1, name, socket, [...argv, '--run-dir', runDir, '--log-level', 'warn']);
      this.#later(async () => {
        await service.stop();
        // It removes its socket itself, unless it was killed.
        await rm(socket, { force: true });
      });
      await service.ready();
      this.#view.log(`  ${name} runs as process ${service.pid} (ready after ${ms(performance.now() - at)})`);
      return service;
    };
    const controller = await start('controller', controllerPath, [
      ...['controller', '--host', '127.0.0.1', '--port', String(port)],
    ]);
    const connected = new Promise<void>((resolve) => {
      this.#deviceConnected = resolve;
    });
    await lines(controllerPath, '/events', this.#watching.signal, (event) => this.#event(event as Event));
    this.#agent = await start('agent', agentPath, [
      ...['agent', '--datapath-id', String(dpid), '--controller', `127.0.0.1:${port}`],
      ...s1.ports.flatMap((name) => ['--port', name]),
      ...['--pool-size', String(POOL_SIZE)],
    ]);
    this.#broken = Promise.race([controller.failed, this.#agent.failed]);
    this.#broken.catch(() => undefined);
    await this.#whole(connected);
    this.#view.log(`  the agent is connected; it warms ${POOL_SIZE} cells ...`);
    const warm = await this.#whole(this.#warmPool());
    this.#view.log(`  ${warm} cells warm: every flow gets one of its own`);
    const panel = new CellPanel(this.#agent.socket, this.#view);
    this.#later(() => panel.close());
  }

  /** Waits for the pool to be full. Resolves to how many cells are warm. */
  async #warmPool(): Promise<number> {
    const give = performance.now() + POOL_TIMEOUT_MS;
    for (;;) {
      const hosts = await get<{ warm: number }[]>(this.#agent.socket, '/hosts');
      const warm = hosts.reduce((sum, host) => sum + host.warm, 0);
      if (warm >= POOL_SIZE || performance.now() > give) return warm;
      await sleep(50);
    }
  }

  #event(event: Event): void {
    if (event.type === 'connected') this.#deviceConnected();
    const { step, flow } = this.#story.add(event);
    this.#narrator.tell(step, flow);
    if (step === 'live' && flow !== undefined) for (const watcher of this.#liveWatchers) watcher(flow);
  }

  async #ping(): Promise<void> {
    const { h1, h2, h3 } = this.#net.hosts;
    this.#narrator.chapter('Ping: the first packet of a flow waits for its cell, the next ones do not');
    for (const to of [h2, h3]) {
      const report = await ping(h1, to, 4);
      if (report === undefined) {
        this.#view.log('  (this machine has no ping; on with UDP)');
        return;
      }
      this.result.ping_ok = this.result.ping_ok !== false && report.received === report.sent;
      this.#view.log(
        `  h1 > ${to.name}: ${report.received} of ${report.sent} answered, ` +
          `the first after ${report.first} ms, then ${report.best} ms`,
      );
    }
  }

  async #newFlows(): Promise<void> {
    const { h1, h3 } = this.#net.hosts;
    this.#narrator.chapter(`Set-up: ${NEW_FLOWS} new UDP flows, one after the other, with warm cells`);
    await serve(h3, 'udp-echo', ECHO_PORT);
    const report = await new Traffic(h1, ['udp-flows', h3.ip, ECHO_PORT, NEW_FLOWS]).next<NewFlowsReport>();
    this.#narrator.end();
    this.result.new_flows = { count: report.flows, answered: report.answered };
    const setup = this.#story.setup();
    this.#view.log(`  query to live cell:   p50 ${micros(setup.p50)}, p99 ${micros(setup.p99)}`);
    this.#view.log(
      `  as the hosts see it:  p50 ${micros(report.rtt_us.p50)}, p99 ${micros(report.rtt_us.p99)} ` +
        'for a first packet there and its echo back',
    );
  }

  async #transfer(): Promise<void> {
    const { h1, h2 } = this.#net.hosts;
    const { connections, megabytes } = this.#options;
    const each = Math.ceil((megabytes * 1e6) / connections);
    this.#narrator.chapter(
      `TCP: ${connections} connections at once, ${bytes(each * connections)}, SHA-256 at both ends`,
    );
    await serve(h2, 'tcp-receive', TCP_PORT);
    const report = await new Traffic(h1, [
      'tcp-send',
      h2.ip,
      TCP_PORT,
      connections,
      each,
    ]).next<TransferReport>();
    this.#narrator.end();
    this.result.bytes = report.bytes;
    this.result.bytes_ok = report.ok;
    const rate = (report.bytes * 8) / report.seconds / 1e9;
    this.#view.log(
      report.ok
        ? `  ${bytes(report.bytes)} arrived intact in ${report.seconds.toFixed(2)} s: ${rate.toFixed(2)} Gbit/s`
        : `  ${this.#view.style.red(`${report.failed} connections failed or arrived damaged`)} ${report.reason ?? ''}`,
    );
    for (const line of await busiestCells(this.#agent.socket, 4))
      this.#view.log(this.#view.style.dim(`  ${line}`));
  }

  async #isolation(): Promise<void> {
    const { h1, h2, h3 } = this.#net.hosts;
    const { style } = this.#view;
    this.#narrator.chapter('Isolation: one cell is killed while its neighbour carries traffic');
    const victim = new Traffic(h1, ['udp-probe', h3.ip, ECHO_PORT, PROBES_PER_SECOND, VICTIM_PORT]);
    const bystander = new Traffic(h2, ['udp-probe', h3.ip, ECHO_PORT, PROBES_PER_SECOND, BYSTANDER_PORT]);
    const isVictims = (flow: FlowStory) =>
      flow.match.udp_src === VICTIM_PORT || flow.match.udp_dst === VICTIM_PORT;
    // The controller tells of a flow by another way than its answers take.
    await Promise.all([this.#nextLive(isVictims), victim.next(), bystander.next()]);
    await sleep(PROBE_MARGIN_MS);
    const killed = this.#story.flows.findLast(isVictims)?.cell;
    if (killed === undefined) throw new Error('the probe flow never got a cell');
    this.result.isolation.killed_cell = killed;

    const recovery = this.#nextLive((flow) => isVictims(flow) && flow.cell !== killed);
    const at = performance.now();
    await post(this.#agent.socket, `/cells/${killed}/kill`);
    this.#view.log(
      `  ${style.red(`cell ${killed} killed`)}  (h1:${VICTIM_PORT} > h3, ${PROBES_PER_SECOND} packets/s)`,
    );
    const successor = await recovery;
    if (successor !== undefined) {
      this.result.isolation.new_cell = successor.cell;
      this.#view.log(
        `  ${style.green(`cell ${successor.cell} live`)}    the same flow has a new cell, ${ms(performance.now() - at)} later`,
      );
    }
    await sleep(PROBE_MARGIN_MS);
    const [hit, other] = await Promise.all([victim.finish<ProbeReport>(), bystander.finish<ProbeReport>()]);
    this.result.isolation.other_flows_lost = other.lost;
    this.result.isolation.recovered = successor !== undefined && hit.last_answered;
    this.#narrator.end();
    const tell = (name: string, report: ProbeReport) =>
      `  ${name} ${integer(report.sent)} sent, ${report.lost} lost, longest gap ${report.longest_gap_ms} ms`;
    this.#view.log(tell('its flow:      ', hit));
    this.#view.log(tell('the other flow:', other));
  }

  /** The next flow to go live that `is` the one; undefined if none does in time. */
  async #nextLive(is: (flow: FlowStory) => boolean): Promise<FlowStory | undefined> {
    return await new Promise((resolve) => {
      const done = (flow: FlowStory | undefined) => {
        clearTimeout(timer);
        this.#liveWatchers.delete(watcher);
        resolve(flow);
      };
      const watcher = (flow: FlowStory) => {
        if (is(flow)) done(flow);
      };
      const timer = setTimeout(done, RECOVERY_TIMEOUT_MS, undefined);
      this.#liveWatchers.add(watcher);
    });
  }

  #summary(): void {
    const { result } = this;
    const setup = this.#story.setup();
    result.flows = this.#story.flows.filter((flow) => !flow.again).length;
    result.cells = this.#story.cells.size;
    result.setup_us = { p50: setup.p50, p99: setup.p99 };
    const checks = check(result);
    result.ok = checks.every(({ good }) => good);
    this.#narrator.chapter('Summary');
    const { green, red } = this.#view.style;
    for (const { good, text } of checks) this.#view.log(`  ${good ? green('ok ') : red('bad')}  ${text}`);
  }

  async #hold(): Promise<never> {
    const { s1, h1, h2 } = { ...this.#net.switches, ...this.#net.hosts };
    this.#narrator.chapter('It stays up (--keep). In another terminal:');
    this.#view.log('  ./bin/flowcell cells      ./bin/flowcell rules      ./bin/flowcell flows');
    // Inside a user namespace the hosts' namespaces are out of other terminals' reach.
    if (!this.#options.unprivileged) {
      this.#view.log(`  ip netns exec ${h1.namespace} ping ${h2.ip}`);
      this.#view.log(`  ip netns exec ${s1.namespace} tshark -i lo -Y openflow_v4`);
    }
    this.#view.log('  Ctrl-C ends it.');
    return await new Promise<never>(() => undefined);
  }

  /** Has something undone at the end; at once, if the end has come while it was being made. */
  #later(cleanup: () => Promise<unknown>): void {
    if (this.#closed) void cleanup();
    else this.#cleanups.push(cleanup);
  }

  /** Ends every process, removes every namespace and socket; last made, first gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watching.abort();
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
  }
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}

/** The first number from `from` on that is not taken. */
async function free(from: number, isTaken: (n: number) => Promise<boolean>): Promise<number> {
  let n = from;
  while (await isTaken(n)) n++;
  return n;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    const interrupt = () => reject(new Interrupted());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
    outerGone(interrupt);
  });
}

/** Runs the demo to its end. Resolves to the exit code. */
export async function demo(options: DemoOptions): Promise<number> {
  const view = new View(process.stdout);
  const demo = new Demo(options, view);
  const interrupted = interruption();
  interrupted.catch(() => undefined);
  let exitCode = 1;
  try {
    await Promise.race([demo.run(), interrupted]);
    exitCode = demo.result.ok ? 0 : 1;
  } catch (error) {
    if (error instanceof Interrupted) {
      // After --keep has shown everything this is the ordinary end.
      exitCode = demo.result.ok && options.keep ? 0 : 130;
      if (exitCode !== 0) Object.assign(demo.result, { ok: false, error: 'interrupted' });
    } else {
      demo.result.ok = false;
      demo.result.error = error instanceof Error ? error.message : String(error);
      view.clear();
      process.stderr.write(`flowcell: ${demo.result.error}\n`);
    }
  }
  view.clear();
  await demo.close();
  view.end('\nEverything is removed: namespaces, processes, sockets.');
  if (options.json) process.stdout.write(`${JSON.stringify(demo.result)}\n`);
  return exitCode;
}
