/** A switch's namespace with an agent in it, and a controller played by the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ExecResult, stop } from '../../mininet/run.ts';
import { type NetNode, type Network, type Switch, singleSwitch, topology } from '../../mininet/topology.ts';
import {
  decode,
  encode,
  errorName,
  Framer,
  type Message,
  type MessageInit,
  type MessageInitOf,
  messageType,
} from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import { codecs, type MessageIn, type MessageInitIn, type WireVersion } from '../../openflow/versions.ts';

const NODE = path.join(import.meta.dirname, '../../bin/node');
/** Costs nothing while all is well; below the time limits of tests and hooks, so that a failure says what was waited for. */
const WAIT_MS = 50_000;
/** An agent that is slow to end is not yet one that hangs. */
const END_MS = 30_000;

/** How long an answer to an echo request may take. */
const ANSWER_S = 40;

/** Resolves when `check` gives something other than undefined; looks whenever `poke` is called. */
class Waiters {
  readonly #waiting = new Set<() => void>();

  poke(): void {
    for (const check of [...this.#waiting]) check();
  }

  until<T>(what: string, check: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = check();
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`waited in vain for ${what}`));
      }, WAIT_MS);
      this.#waiting.add(look);
      look();
    });
  }
}

/** How messages are said on a connection: a dialect that speaks 1.3 in another version, or a version's codec. */
export interface Speech<M, I> {
  decode(bytes: Uint8Array): M[];
  encode(message: I): Uint8Array[];
}

type AnyOf = MessageIn<WireVersion>;
type AnyInit = MessageInitIn<WireVersion>;
type Of<M, T> = Extract<M, { type: T }>;

/** The messages of a version as they are, without a dialect. */
export function direct<V extends WireVersion>(version: V): Speech<MessageIn<V>, MessageInitIn<V>> {
  const { decode, encode } = codecs[version] as unknown as {
    decode(bytes: Uint8Array): MessageIn<V>;
    encode(message: MessageInitIn<V>): Uint8Array;
  };
  return { decode: (bytes) => [decode(bytes)], encode: (message) => [encode(message)] };
}

/** One device's connection, as the controller sees it. `M`, `I`: messages received and sent, of 1.3 by default. */
export class Peer<M extends AnyOf = Message, I extends AnyInit = MessageInit> {
  readonly received: M[] = [];
  readonly socket: net.Socket;
  open = true;
  /** Hellos are the same in all versions, and told in that of 1.3. */
  speech: Speech<M, I> = direct(4) as unknown as Speech<M, I>;
  readonly #waiters = new Waiters();
  #xid = 100;
  /** Answers to messages as they come, before anybody waits for them. */
  onMessage: ((message: M) => void) | undefined;

  constructor(socket: net.Socket) {
    this.socket = socket;
    const framer = new Framer();
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk, (bytes) => {
        const copy = bytes.slice();
        const hello = messageType(copy) === 0;
        for (const message of hello ? [decode(copy) as M] : this.speech.decode(copy)) this.#message(message);
      });
      this.#waiters.poke();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.open = false;
      this.#waiters.poke();
    });
  }

  #message(message: M): void {
    if (message.type === 'echo_request') this.send({ ...message, type: 'echo_reply' } as unknown as I);
    this.received.push(message);
    this.onMessage?.(message);
  }

  send(...messages: I[]): void {
    this.socket.write(Buffer.concat(messages.flatMap((message) => this.speech.encode(message))));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next message of a type (that fits), taken out of those received. */
  next<T extends M['type']>(type: T, fits: (message: Of<M, T>) => boolean = () => true): Promise<Of<M, T>> {
    return this.#waiters.until(`${type} among ${this.received.map((message) => message.type)}`, () => {
      const at = this.received.findIndex((message) => message.type === type && fits(message as Of<M, T>));
      return at < 0 ? undefined : (this.received.splice(at, 1)[0] as Of<M, T>);
    });
  }

  async ended(): Promise<void> {
    await this.#waiters.until('the end of the connection', () => (this.open ? undefined : true));
  }

  /** Hello and features as the controller says them; false: the device has ended the connection in between. */
  async greet(version: number, speech: Speech<M, I>): Promise<boolean> {
    const comes = (type: M['type']) =>
      this.#waiters.until(`${type} among ${this.received.map((message) => message.type)}`, () => {
        const at = this.received.findIndex((message) => message.type === type);
        if (at < 0) return this.open ? undefined : false;
        this.received.splice(at, 1);
        return true;
      });
    this.write(
      encode({ type: 'hello', version, elements: [{ type: 'versionbitmap', versions: [version] }] }),
    );
    if (!(await comes('hello'))) return false;
    this.speech = speech;
    this.send({ type: 'features_request', xid: ++this.#xid } as I);
    return await comes('features_reply');
  }

  /** Sends a request and waits for the answer of that type (or an error) with its xid. */
  async call<T extends M['type']>(type: T, request: I): Promise<Of<M, T>> {
    const xid = ++this.#xid;
    this.send({ ...request, xid });
    const answer = await this.#waiters.until(`${type} ${xid}`, () => {
      const at = this.received.findIndex(
        (message) => message.xid === xid && (message.type === type || message.type === 'error'),
      );
      return at < 0 ? undefined : this.received.splice(at, 1)[0];
    });
    // Whoever asks for an error gets it as an answer.
    if (answer.type === 'error' && type !== 'error') {
      const text = `${request.type} failed: ${errorName(answer.error_type, answer.code)}`;
      throw Object.assign(new Error(text), { answer });
    }
    return answer as Of<M, T>;
  }

  /** Entries and a barrier. */
  async entries(...entries: Omit<MessageInitOf<'flow_mod'>, 'type'>[]): Promise<void> {
    this.send(...entries.map((entry) => ({ type: 'flow_mod', ...entry }) as I));
    await this.call('barrier_reply', { type: 'barrier_request' } as I);
  }
}

/** Listens in the switch's namespace, though the test is not in it. */
export class FakeController {
  readonly port: number;
  readonly #server: net.Server;
  #peers: Peer[] = [];
  readonly #all = new Set<Peer>();
  readonly #waiters = new Waiters();

  static async start(node: Switch, port = 0): Promise<FakeController> {
    const [command, ...args] = node.command([
      NODE,
      path.join(import.meta.dirname, 'agent-listener.ts'),
      String(port),
    ]);
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [message, server] = (await once(child, 'message')) as [{ port: number }, net.Server];
    return new FakeController(server, message.port);
  }

  constructor(server: net.Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket: net.Socket) => {
      const peer = new Peer(socket);
      this.#peers.push(peer);
      this.#all.add(peer);
      socket.once('close', () => {
        this.#all.delete(peer);
        this.#waiters.poke();
      });
      socket.resume();
      this.#waiters.poke();
    });
  }

  /** The next device that connects and still is connected, before any message. */
  connection(): Promise<Peer> {
    return this.#waiters.until('a connection', () => {
      let peer = this.#peers.shift();
      while (peer?.open === false) peer = this.#peers.shift();
      return peer;
    });
  }

  /** The same, as far as the features handshake. `version`: wire version, the only one that this controller speaks. */
  device(version = 4): Promise<Peer> {
    return this.#greeted(version, createDialect(version)!);
  }

  /** The same, with the messages of that version instead of those of 1.3. */
  directDevice<V extends WireVersion>(version: V): Promise<Peer<MessageIn<V>, MessageInitIn<V>>> {
    return this.#greeted(version, direct(version));
  }

  async #greeted<M extends AnyOf, I extends AnyInit>(
    version: number,
    speech: Speech<M, I>,
  ): Promise<Peer<M, I>> {
    // A device that waited too long for its hello has given up and comes again.
    for (;;) {
      const peer = (await this.connection()) as unknown as Peer<M, I>;
      if (await peer.greet(version, speech)) return peer;
      const refusal = peer.received.find(({ type }) => type === 'error');
      if (refusal?.type !== 'error') continue;
      throw new Error(`the device refused: ${errorName(refusal.error_type, refusal.code)}`);
    }
  }

  /** Every device is gone, and those nobody asked for are forgotten. */
  async idle(): Promise<void> {
    await this.#waiters.until('the end of all connections', () => (this.#all.size === 0 ? true : undefined));
    this.#peers = [];
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

export class AgentProcess {
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly #folder: string;
  readonly #waiters = new Waiters();
  stderr = '';

  static async start(node: Switch, options: Record<string, unknown>, folder?: string): Promise<AgentProcess> {
    const runDir = folder ?? mkdtempSync(path.join(tmpdir(), 'agt-'));
    const given = { datapathId: '7', ports: node.ports, poolSize: 8, runDir, ...options };
    const script = path.join(import.meta.dirname, 'agent-process.ts');
    const child = node.spawn([NODE, script, JSON.stringify(given)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const agent = new AgentProcess(child, runDir);
    let ready = false;
    let closed = false;
    child.stdout!.once('data', () => {
      ready = true;
      agent.#waiters.poke();
    });
    // Not 'exit': what it said on its way out may come after that.
    child.once('close', () => {
      closed = true;
      agent.#waiters.poke();
    });
    await agent.#waiters.until('the agent', () => ready || closed || undefined);
    if (ready) return agent;
    if (folder === undefined) await agent.stop();
    throw new Error(`the agent did not start: ${agent.stderr}`);
  }

  constructor(child: ChildProcess, folder: string) {
    this.child = child;
    this.#folder = folder;
    this.socketPath = path.join(folder, 'agent-0000000000000007.sock');
    child.stderr!.on('data', (chunk) => {
      this.stderr += chunk;
      if (process.env.AGT_VERBOSE) process.stderr.write(chunk);
    });
  }

  get folder(): string {
    return this.#folder;
  }

  /** GET (or POST) on the local socket. */
  async local<T = Record<string, unknown>>(url: string, method = 'GET'): Promise<T> {
    // A connection of its own: one kept from an earlier request may have been closed at the other end.
    const request = http.request({ socketPath: this.socketPath, path: url, method, agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    return JSON.parse(body) as T;
  }

  /** Asks again until what is shown fits: for what nothing announces. */
  async shows<T>(url: string, fits: (state: T) => boolean): Promise<T> {
    const end = performance.now() + WAIT_MS;
    for (;;) {
      const state = await this.local<T>(url);
      if (fits(state)) return state;
      if (performance.now() > end) throw new Error(`${url} never showed it: ${JSON.stringify(state)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
  }

  async stop(): Promise<void> {
    await stop(this.child, END_MS);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * So many echo requests at once, for each of which an answer is expected; `more`: further options of ping. Not one after
 * the other: then ping waits for the last answer only twice as long as those before took, or one interval.
 */
export const ping = (from: NetNode, to: string, count = 1, ...more: string[]): Promise<ExecResult> =>
  from.exec(['ping', '-q', `-c${count}`, `-l${count}`, `-W${ANSWER_S}`, ...more, to], { anyExit: true });

/** One echo request that nobody is to answer. */
export const pingInVain = (from: NetNode, to: string): Promise<ExecResult> =>
  from.exec(['ping', '-q', '-c1', '-W1', to], { anyExit: true });

/** One echo request, without waiting for an answer: what it leads to in the switch is what is awaited. */
export const echoRequest = (from: NetNode, to: string): Promise<ExecResult> =>
  from.exec(['ping', '-q', '-c1', '-W0.01', to], { anyExit: true });

/** A cell that may take nearly as long as any may for one run: on a busy machine its time runs while others have the CPU. */
export const PATIENT_CELL = { run_ms: 900 } as const;

/** The agent's option `fastPath`: off, and on for every flow from its second packet. */
export const EAGER_FAST_PATH = { threshold: 1, windowMs: 60_000 };
export const FAST_PATHS = [
  ['through cells only', false],
  ['with the kernel fast path', EAGER_FAST_PATH],
] as const;

/** A switch's agent, with the test as its controller. */
export interface Controlled {
  controller: FakeController;
  agent: AgentProcess;
  peer: Peer;
  stop(): Promise<void>;
}

/** Starts controller and agent in the switch's namespace, as far as the features handshake. */
export async function control(node: Switch, options: Record<string, unknown> = {}): Promise<Controlled> {
  const controller = await FakeController.start(node);
  let agent: AgentProcess | undefined;
  const stop = async () => {
    await agent?.stop();
    await controller.close();
  };
  try {
    const controllers = [{ host: '127.0.0.1', port: controller.port }];
    agent = await AgentProcess.start(node, { controllers, ...options });
    return { controller, agent, peer: await controller.device(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface SwitchLab extends Controlled {
  net: Network<'s1', string>;
}

/** One controlled switch and its hosts; `stop` ends it all. */
export async function switchLab(
  hosts: number,
  { net: layout, agent }: { net?: Parameters<typeof singleSwitch>[1]; agent?: Record<string, unknown> } = {},
): Promise<SwitchLab> {
  const net = await singleSwitch(hosts, layout);
  try {
    const controlled = await control(net.switches.s1, agent);
    const stop = async () => {
      await controlled.stop();
      await net.close();
    };
    return { ...controlled, net, stop };
  } catch (error) {
    await net.close();
    throw error;
  }
}

/** Numbers of the ports of a trunkLab's switches: to the host, and to each other. */
export const HOST = 1;
export const TRUNK = 2;

export interface TrunkLab {
  net: Network<'s1' | 's2', 'h1' | 'h2'>;
  /** Those of s1 and of s2. */
  peers: readonly [Peer, Peer];
  stop(): Promise<void>;
}

/** Two controlled switches with a host each, and between them a trunk of this MTU, bytes; `stop` ends it all. */
export async function trunkLab(mtu: number, options: Record<string, unknown> = {}): Promise<TrunkLab> {
  const net = await topology({
    switches: { s1: {}, s2: {} },
    hosts: { h1: {}, h2: {} },
    links: [
      ['h1', 's1'],
      ['h2', 's2'],
      ['s1', 's2'],
    ],
  });
  const started: Controlled[] = [];
  const stop = async () => {
    for (const one of started) await one.stop();
    await net.close();
  };
  try {
    const { s1, s2 } = net.switches;
    for (const node of [s1, s2]) {
      await node.configure([`link set ${node.interfaces[TRUNK - 1]} mtu ${mtu}`]);
      started.push(await control(node, options));
    }
    return { net, peers: [started[0].peer, started[1].peer], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
