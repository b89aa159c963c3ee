/**
 * The sandbox hosts of one tenant: as many processes as its cells need. Cells go where one is warm, else where the fewest
 * wait; another host is started before the last one is full, and ended when it was long empty. A host that dies takes
 * its own cells along, and nobody else's. Cells behind the wall `process` have a host each.
 */
import { HOST_CELLS } from '../channel/control.ts';
import { Bans } from './bans.ts';
import { SandboxError } from './errors.ts';
import { SandboxHost } from './host.ts';
import type { SandboxHostOptions, SandboxHostStats } from './host-types.ts';
import { limitsRefusal } from './limits.ts';
import { HostShare } from './share.ts';
import type { CellEvents, CellRequest, FrameRef, OpenCallback } from './types.ts';

/** Hosts for 16,000 cells; and cells with a host of their own, each some 50 MiB. */
const MAX_HOSTS = 8;
const MAX_APART = 64;
/** Another host is started when there is room for less than this part of a host's cells. */
const LOW = 0.25;
/** An empty host is ended after so long, as long as there is room for twice that in the others, ms. */
const IDLE_MS = 30_000;
const LOOK_MS = 1000;
/** After a host that did not start, the next is tried at the earliest, ms. */
const RETRY_MS = 1000;

export interface TenantHostsOptions<F extends FrameRef>
  extends Omit<SandboxHostOptions<F>, 'batchEnd' | 'bans' | 'restarts' | 'emptied'> {
  /** Cells of one host. Default and most: HOST_CELLS. */
  cells?: number;
  /** Most hosts, and most cells with a host of their own. Default: 8 and 64. */
  maxHosts?: number;
  maxApart?: number;
  /** How long an empty host is kept, ms. Default 30 s. */
  idleMs?: number;
}

export interface HostView extends SandboxHostStats {
  pid: number;
  /** How many it takes. */
  cells: number;
}

interface Request<F extends FrameRef> extends CellRequest<F> {
  readonly events: CellEvents<F>;
}

interface Member<F extends FrameRef> {
  readonly host: SandboxHost<F>;
  emptySince: number;
}

export class TenantHosts<F extends FrameRef> {
  /** Hosts started and ended so far, hosts that did not start, and cells refused because there may be no more of them. */
  readonly counters = { started: 0, ended: 0, startFailed: 0, refused: 0 };
  readonly #options: TenantHostsOptions<F>;
  readonly #capacity: number;
  /** The first is there from the start to the end. */
  #members: readonly Member<F>[] = [];
  readonly #apart = new Set<SandboxHost<F>>();
  #apartStarting = 0;
  /** Hosts that start or end by themselves. */
  readonly #underway = new Set<Promise<void>>();
  #starting = false;
  #startedAt = -Infinity;
  /** Requests for the host that is starting. */
  #queue: Request<F>[] = [];
  #users: readonly CellEvents<F>[];
  readonly #bans = new Bans();
  readonly #batchEnd = (): void => {
    const users = this.#users;
    for (let i = 0; i < users.length; i++) users[i]!.batchEnd?.();
  };
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  /** Starts the first host; resolves when it is locked down and warming. Throws SandboxError. */
  static async start<F extends FrameRef>(options: TenantHostsOptions<F>): Promise<TenantHosts<F>> {
    const hosts = new TenantHosts(options);
    await hosts.#startHost();
    hosts.#timer = setInterval(() => hosts.#look(), Math.min(LOOK_MS, hosts.#idleMs));
    hosts.#timer.unref();
    return hosts;
  }

  private constructor(options: TenantHostsOptions<F>) {
    this.#options = options;
    this.#capacity = options.cells ?? HOST_CELLS;
    this.#users = [options.events];
  }

  /** As SandboxHost.open, in the host that can have it soonest. */
  open(asked: CellRequest<F>, events: CellEvents<F> = this.#options.events): void {
    const since = performance.now();
    const request: Request<F> = {
      ...asked,
      events,
      callback: (error, cell) => asked.callback(error, cell, (performance.now() - since) * 1000),
    };
    if (this.#closed) asked.callback(closedError(), null, 0);
    else if (asked.limits.wall === 'process') this.#openApart(request);
    else this.#open(request);
  }

  /** A part of these hosts for another device in the same process. */
  share(events: CellEvents<F>): HostShare<F> {
    this.#users = [...this.#users, events];
    return new HostShare(this, events);
  }

  /** The share's cells are closed; it opens no more. */
  unshare(events: CellEvents<F>): void {
    for (const host of this.#all()) host.closeCellsOf(events);
    this.#users = this.#users.filter((user) => user !== events);
  }

  /** Tells the hosts of everything pushed and sent since the last call. The loop's turn does it too. */
  kick(): void {
    for (const { host } of this.#members) host.kick();
    for (const host of this.#apart) host.kick();
  }

  /** A view of each process. */
  view(): HostView[] {
    const shared = this.#members.map(({ host }) => ({
      pid: host.pid,
      cells: this.#capacity,
      ...host.stats(),
    }));
    return [...shared, ...[...this.#apart].map((host) => ({ pid: host.pid, cells: 1, ...host.stats() }))];
  }

  /** Ends all processes and every cell ('closed'). */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#failQueue(closedError());
    while (this.#underway.size > 0) await Promise.all(this.#underway);
    await Promise.all([...this.#all()].map((host) => host.close()));
  }

  #open(request: Request<F>, tried?: ReadonlySet<SandboxHost<F>>): void {
    const host = this.#choose(request, tried);
    if (host !== undefined) {
      this.#openIn(host, request, tried);
      this.#lookAhead();
      return;
    }
    this.#queue.push(request);
    if (!this.#startAnother() && !this.#starting) {
      this.counters.refused++;
      this.#failQueue(new SandboxError('FC_NO_RESOURCES', this.#fullness()));
    }
  }

  #openIn(host: SandboxHost<F>, request: Request<F>, tried: ReadonlySet<SandboxHost<F>> = new Set()): void {
    const { events, callback } = request;
    const opened: OpenCallback<F> = (error, cell, us) => {
      // Warm isolates of other kinds can have taken what room there was.
      if (error instanceof SandboxError && error.code === 'FC_NO_RESOURCES' && !this.#closed) {
        this.#open(request, new Set([...tried, host]));
      } else callback(error, cell, us);
    };
    host.open({ ...request, callback: opened }, events);
  }

  /** Where a cell is warm; else where the fewest wait, of those that have room. */
  #choose(
    { program, limits }: Request<F>,
    tried: ReadonlySet<SandboxHost<F>> | undefined,
  ): SandboxHost<F> | undefined {
    let best: SandboxHost<F> | undefined;
    for (const { host } of this.#members) {
      if (tried?.has(host)) continue;
      if (host.isWarm(program, limits)) return host;
      if (host.room > 0 && (best === undefined || host.waiting < best.waiting)) best = host;
    }
    if (best !== undefined) return best;
    // One that has just died is back sooner than another is started.
    return this.#members.find(({ host }) => host.pid === -1 && !tried?.has(host))?.host;
  }

  #lookAhead(): void {
    if (this.#room() < this.#capacity * LOW) this.#startAnother();
  }

  /** Cells that fit into what is there; a host that has just died is empty when it is back. */
  #room(): number {
    let room = 0;
    for (const { host } of this.#members) room += host.pid === -1 ? this.#capacity : host.room;
    return room;
  }

  /** False: there may be no more, or one is starting already, or the last one did not start. */
  #startAnother(): boolean {
    if (this.#closed || this.#starting) return false;
    if (this.#members.length >= (this.#options.maxHosts ?? MAX_HOSTS)) return false;
    if (performance.now() - this.#startedAt < RETRY_MS && this.counters.startFailed > 0) return false;
    this.#starting = true;
    this.#follow(
      this.#startHost().then(
        () => this.#begun(),
        (error: SandboxError) => this.#notBegun(error),
      ),
    );
    return true;
  }

  async #startHost(): Promise<void> {
    this.#startedAt = performance.now();
    const host = await SandboxHost.start({ ...this.#options, batchEnd: this.#batchEnd, bans: this.#bans });
    this.#members = [...this.#members, { host, emptySince: Infinity }];
    this.counters.started++;
  }

  #begun(): void {
    this.#starting = false;
    const queue = this.#queue;
    this.#queue = [];
    for (const request of queue) if (request.wanted?.() !== false) this.#open(request);
  }

  #notBegun(error: SandboxError): void {
    this.#starting = false;
    this.counters.startFailed++;
    this.#options.logger.error(
      { tenant: this.#options.tenant, err: error },
      'another sandbox host does not start',
    );
    this.#failQueue(error);
  }

  #failQueue(error: SandboxError): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const { callback } of queue) callback(error, null, 0);
  }

  #fullness(): string {
    return `all ${this.#capacity} cells of all ${this.#members.length} sandbox hosts of the tenant are in use`;
  }

  /** A host for this cell alone, which ends with it. */
  #openApart(request: Request<F>): void {
    const { events, callback } = request;
    const problem = limitsRefusal(request.limits);
    const most = this.#options.maxApart ?? MAX_APART;
    if (problem !== null) {
      callback(problem, null, 0);
      return;
    }
    if (this.#apart.size + this.#apartStarting >= most) {
      this.counters.refused++;
      const why = `the tenant has ${most} cells with a process of their own already`;
      callback(new SandboxError('FC_NO_RESOURCES', why), null, 0);
      return;
    }
    this.#apartStarting++;
    const begun = (host: SandboxHost<F>): void => {
      this.#apartStarting--;
      this.#apart.add(host);
      const opened: OpenCallback<F> = (error, cell, us) => {
        if (error !== null) this.#endApart(host);
        callback(error, cell, us);
      };
      host.open({ ...request, callback: opened }, events);
    };
    const notBegun = (error: SandboxError): void => {
      this.#apartStarting--;
      this.counters.startFailed++;
      callback(error, null, 0);
    };
    this.#follow(this.#startApart().then(begun, notBegun));
  }

  async #startApart(): Promise<SandboxHost<F>> {
    const host = await SandboxHost.start({
      ...this.#options,
      cells: 1,
      // Nothing is kept warm: its one cell is made to order.
      programs: [],
      batchEnd: this.#batchEnd,
      bans: this.#bans,
      restarts: false,
      emptied: (emptied) => this.#endApart(emptied),
    });
    this.counters.started++;
    return host;
  }

  #endApart(host: SandboxHost<F>): void {
    if (!this.#apart.delete(host)) return;
    this.#end(host);
  }

  /** Not at once: whoever is told of a cell's end may be in the middle of its host's batch. */
  #end(host: SandboxHost<F>): void {
    this.counters.ended++;
    this.#follow(new Promise((resolve) => setImmediate(resolve)).then(() => host.close()));
  }

  /** Something that goes on by itself, for whose end close() waits. */
  #follow(work: Promise<void>): void {
    const done = work
      .catch((error) => {
        this.#options.logger.error({ tenant: this.#options.tenant, err: error }, 'sandbox host not in order');
      })
      .finally(() => this.#underway.delete(done));
    this.#underway.add(done);
  }

  get #idleMs(): number {
    return this.#options.idleMs ?? IDLE_MS;
  }

  /** Ends a host that was empty for long, if the others have room for what may come. */
  #look(): void {
    const now = performance.now();
    for (const member of this.#members) {
      if (member.host.load > 0) member.emptySince = Infinity;
      else if (member.emptySince === Infinity) member.emptySince = now;
    }
    const idle = this.#members.slice(1).findLast(({ emptySince }) => now - emptySince >= this.#idleMs);
    if (idle === undefined || this.#room() - idle.host.room < this.#capacity * 2 * LOW) return;
    this.#members = this.#members.filter((member) => member !== idle);
    this.#end(idle.host);
  }

  *#all(): Generator<SandboxHost<F>> {
    for (const { host } of this.#members) yield host;
    yield* this.#apart;
  }
}

const closedError = (): SandboxError =>
  new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox hosts of the tenant were closed');
