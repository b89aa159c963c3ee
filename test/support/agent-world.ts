/** The agent's dispatcher, flows and cells around a sandbox host that is only pretended: no processes, no sockets. */
import pino from 'pino';
import { type CellHost, Cells } from '../../agent/cells.ts';
import { Clock, SYSTEM_TIME } from '../../agent/clock.ts';
import { Admission } from '../../agent/dispatcher/admission.ts';
import { Dispatcher, type DispatcherOptions } from '../../agent/dispatcher/dispatcher.ts';
import { Flows, type FlowsOptions } from '../../agent/dispatcher/flows.ts';
import { Holding, type HoldLimits } from '../../agent/dispatcher/hold.ts';
import { Output } from '../../agent/dispatcher/output.ts';
import type { PendingFlow } from '../../agent/dispatcher/pending.ts';
import { RuleTable } from '../../agent/dispatcher/rules.ts';
import { Setups } from '../../agent/dispatcher/setups.ts';
import { Liveness } from '../../agent/liveness.ts';
import { FRAME_CAPACITY, type Frame, FramePool } from '../../agent/ports/frames.ts';
import { type Medium, NO_MEDIUM } from '../../agent/ports/medium.ts';
import { emptyCounters, type Port, type PortQueue } from '../../agent/ports/port.ts';
import type { PortError } from '../../agent/ports/socket.ts';
import { Programs } from '../../agent/programs.ts';
import {
  decode,
  encode,
  type Message,
  type MessageInit,
  type MessageOf,
  messageType,
  messageXid,
} from '../../openflow/index.ts';
import { DATA_OFFSET, NO_QUEUE, TX_KIND } from '../../sandbox/channel/layout.ts';
import type {
  CellEnd,
  CellHandle,
  CellLimits,
  CellRequest,
  ProgramImage,
  Verdict,
} from '../../sandbox/client/types.ts';

export const silent = pino({ level: 'silent' });

export const image = (name: string): ProgramImage => ({
  name,
  hash: name.padEnd(64, '0'),
  code: '',
  trusted: true,
});

/** A program that did not come with Flowcell. */
export const uploaded: ProgramImage = { ...image('uploaded'), hash: 'fc'.repeat(32), trusted: false };

/** A cell that answers barriers by itself unless told not to, and keeps what it is given. */
export class FakeCell implements CellHandle<Frame> {
  readonly id: number;
  readonly program: ProgramImage;
  readonly limits: CellLimits;
  readonly usage = { cpuUs: 5, heapBytes: 7 };
  readonly frames: Frame[] = [];
  readonly sent: Uint8Array[] = [];
  alive = true;
  room = 64;
  takesMessages = true;
  readonly #host: FakeHost;

  constructor(host: FakeHost, id: number, program: ProgramImage, limits: CellLimits) {
    this.#host = host;
    this.id = id;
    this.program = program;
    this.limits = limits;
  }

  get inFlight(): number {
    return this.frames.length;
  }

  push(frame: Frame): boolean {
    if (!this.alive || this.frames.length >= this.room) return false;
    this.frames.push(frame);
    return true;
  }

  send(message: Uint8Array): boolean {
    if (!this.alive || !this.takesMessages) return false;
    this.sent.push(message.slice());
    return true;
  }

  close(): void {
    this.end('closed');
  }

  end(end: CellEnd, detail = ''): void {
    if (!this.alive) return;
    this.alive = false;
    for (const frame of this.frames.splice(0)) this.#host.events.lost(this, frame);
    this.#host.events.ended(this, end, detail);
  }

  /** Messages as decoded. */
  get messages(): Message[] {
    return this.sent.map((bytes) => decode(bytes));
  }

  say(message: MessageInit): void {
    this.#host.events.message(this, encode(message));
  }

  answerBarriers(): void {
    for (const bytes of this.sent.splice(0)) {
      if (messageType(bytes) === 20) this.say({ type: 'barrier_reply', xid: messageXid(bytes) });
    }
  }

  /** Lets go of the oldest frame: sent to `port`, or dropped. */
  verdict(port?: number, kind: number = port === undefined ? TX_KIND.DONE : TX_KIND.OUTPUT): void {
    const frame = this.frames.shift()!;
    const region = new Uint8Array(1024);
    const head = Math.min(frame.length, 256);
    region.set(frame.bytes.subarray(frame.offset, frame.offset + head), DATA_OFFSET);
    const verdict: Verdict<Frame> = {
      kind,
      last: true,
      cacheable: false,
      path: 0,
      modifications: 0,
      frame,
      port: port ?? 0,
      region,
      regionAddress: 0x1000n,
      headOffset: DATA_OFFSET,
      headLength: head,
      headConsumed: head,
      queue: NO_QUEUE,
      tableId: 0,
      cookie: 0n,
      metadata: 0n,
    };
    this.#host.events.verdict(this, verdict);
    this.#host.events.batchEnd();
  }
}

export class FakeHost implements CellHost {
  readonly cells: FakeCell[] = [];
  events!: Cells;
  /** Cells wait for finish() instead of being there at once. */
  slow = false;
  refuseWith: string | undefined;
  #waiting: (() => void)[] = [];

  open({ id, program, limits, callback, wanted }: CellRequest<Frame>): void {
    const finish = () => {
      if (wanted?.() === false) return;
      if (this.refuseWith !== undefined) {
        callback(Object.assign(new Error('refused'), { code: this.refuseWith }), null, 0);
        return;
      }
      const cell = new FakeCell(this, id, program, limits);
      this.cells.push(cell);
      callback(null, cell, 42);
    };
    if (this.slow) this.#waiting.push(finish);
    else finish();
  }

  /** Those that were asked for first, so many. */
  finish(count = this.#waiting.length): void {
    for (const finish of this.#waiting.splice(0, count)) finish();
  }

  kick(): void {}

  get last(): FakeCell {
    return this.cells.at(-1)!;
  }
}

/** A port that notes what would leave. */
export class FakePort implements Port {
  readonly number: number;
  readonly name: string;
  readonly hardwareAddress = '02:00:00:00:00:01';
  readonly medium: Medium = { ...NO_MEDIUM, speed: 10000 };
  readonly link = { present: true, up: true, running: true };
  readonly since = 0;
  readonly counters = emptyCounters();
  config = 0;
  readonly sent: { frame: Frame; head: number; headLength: number; consumed: number; queue: number }[] = [];
  /** Its queues; what is thrown when it is configured. */
  has: PortQueue[] = [];
  refuses: PortError | undefined;
  flushes = 0;

  constructor(number: number) {
    this.number = number;
    this.name = `p${number}`;
  }

  configure(config: number): void {
    if (this.refuses !== undefined) throw this.refuses;
    this.config = config;
  }

  hasQueue(id: number): boolean {
    return this.has.some((queue) => queue.id === id);
  }

  queues(): readonly PortQueue[] {
    return this.has;
  }

  send(frame: Frame, head: number, headLength: number, consumed: number, queue: number): void {
    this.sent.push({ frame, head, headLength, consumed, queue });
  }

  flush(): void {
    this.flushes++;
  }

  refreshCounters(): void {}
  close(): void {}
}

export interface WorldOptions {
  frames?: number;
  hold?: HoldLimits;
  maxRules?: number;
  perPort?: number;
  /** How long a flow may wait for its cell, ms. */
  setupMs?: number;
}

export class World {
  readonly clock = new Clock({ ...SYSTEM_TIME, now: () => this.clock?.now ?? 1000 });
  readonly pool: FramePool;
  readonly rules: RuleTable;
  readonly holding: Holding;
  readonly admission: Admission;
  readonly setups: Setups;
  readonly host = new FakeHost();
  readonly ports: FakePort[] = [1, 2, 3].map((number) => new FakePort(number));
  readonly output: Output;
  readonly cells: Cells;
  readonly dispatcher: Dispatcher;
  readonly liveness: Liveness;
  readonly flows: Flows;
  /** Queries asked, and messages to the controller. */
  readonly asked: { flow: PendingFlow; bytes: Uint8Array }[] = [];
  readonly toController: MessageInit[] = [];
  controllerThere = true;
  /** What takes all this instead (agent-channel.ts). */
  channel: (Pick<FlowsOptions, 'send' | 'reply'> & Pick<DispatcherOptions, 'ask'>) | undefined;

  constructor(options: WorldOptions = {}) {
    this.pool = new FramePool(options.frames ?? 256);
    this.rules = new RuleTable(options.maxRules);
    this.holding = new Holding(options.hold ?? { perFlow: 4, perRunningFlow: 5, perTenant: 32, total: 64 });
    this.admission = new Admission({ perPort: options.perPort ?? 0, perTenant: 0 });
    this.setups = new Setups(options.setupMs ?? 2000);
    const list = this.ports;
    this.output = new Output(
      { list, get: (number) => list.find((port) => port.number === number) },
      () => {},
    );
    this.cells = new Cells({
      hostOf: () => this.host,
      output: this.output,
      pool: this.pool,
      holding: this.holding,
      clock: this.clock,
      flush: () => {
        for (const port of list) port.flush();
      },
      isPromised: (id) => this.dispatcher.pending.get(id) !== undefined,
      logger: silent,
    });
    this.host.events = this.cells;
    this.dispatcher = new Dispatcher({
      rules: this.rules,
      holding: this.holding,
      admission: this.admission,
      setups: this.setups,
      pool: this.pool,
      clock: this.clock,
      fields: (1n << 5n) | (1n << 11n) | (1n << 12n) | (1n << 15n) | (1n << 16n),
      ask: (flow, frame, key) => {
        if (this.channel !== undefined) return this.channel.ask(flow, frame, key);
        if (!this.controllerThere) return false;
        this.asked.push({ flow, bytes: frame.bytes.slice(frame.offset, frame.offset + frame.length) });
        return true;
      },
      retire: (rule) => this.flows.retire(rule),
      nextNumber: () => this.cells.nextNumber(),
    });
    this.liveness = new Liveness({
      ports: { get: (number) => list.find((port) => port.number === number) },
      cells: () => this.cells.all(),
    });
    this.flows = new Flows({
      rules: this.rules,
      cells: this.cells,
      dispatcher: this.dispatcher,
      setups: this.setups,
      programs: new Programs([image('openflow'), image('other'), uploaded]),
      clock: this.clock,
      liveness: this.liveness,
      send: (message) => {
        if (this.channel === undefined) this.toController.push(message);
        else this.channel.send(message);
      },
      reply: (cell, reply, asker) => {
        if (this.channel === undefined) this.toController.push(reply);
        else this.channel.reply(cell, reply, asker);
      },
      firstBarrierMs: () => 500,
      logger: silent,
    });
    this.cells.listener = this.flows;
    this.dispatcher.miss = 0;
  }

  frame(data: Uint8Array, inPort = 1): Frame {
    if (data.length > FRAME_CAPACITY) throw new RangeError('too long');
    const frame = this.pool.take()!;
    frame.load(data, inPort);
    frame.flags = 0;
    return frame;
  }

  receive(data: Uint8Array, inPort = 1): void {
    this.dispatcher.receive(this.frame(data, inPort));
  }

  /** A rule as it comes off the wire. */
  rule(
    fields: Omit<Extract<MessageInit, { type: 'dispatch_rule' }>, 'type'> = {},
  ): MessageOf<'dispatch_rule'> {
    return decode(encode({ type: 'dispatch_rule', cells: [{}], ...fields })) as MessageOf<'dispatch_rule'>;
  }

  /** All CELL_STATUS messages so far: [state, reason]. */
  get statuses(): [number, number][] {
    return this.toController.flatMap((message) =>
      message.type === 'cell_status' ? [[message.state, message.reason ?? 0] as [number, number]] : [],
    );
  }
}
