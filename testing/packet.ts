/** A packet to be sent by a test, and what became of it. */
import type { ActionInit, Match } from '../openflow/index.ts';
import type { FakeDatapath } from './datapath.ts';
import { describeActions, describeFrame, describeMatch } from './describe.ts';
import type { VirtualHost } from './host.ts';
import type { MatchedEntry } from './steps.ts';
import type { TraceEvent } from './trace.ts';

export class TestPacket {
  readonly from: VirtualHost;
  readonly frame: Uint8Array;

  constructor(from: VirtualHost, frame: Uint8Array) {
    this.from = from;
    this.frame = frame;
  }

  /** Sends it and waits until all is quiet: what `net.send(packet)` does. */
  send(): Promise<Outcome> {
    return this.from.network.send(this);
  }

  toString(): string {
    return `${describeFrame(this.frame)} from ${this.from.name}`;
  }
}

/** An entry that a packet met, wholly or in part: what is left out may be anything. */
export interface EntryPattern {
  table_id?: number;
  priority?: number;
  cookie?: bigint;
  /** Fields that the entry matches on, with these very values; it may match on others too. */
  match?: Match;
  /** All actions of its instructions, in their order. */
  actions?: readonly ActionInit[];
}

export interface OutcomeInit {
  readonly packet: string;
  readonly events: readonly TraceEvent[];
  /** The packets' numbers, of the one sent and of those that are its answers. */
  readonly packets: ReadonlySet<number>;
  readonly reached: readonly VirtualHost[];
  readonly trace: string;
}

export class Outcome {
  /** The packet in words. */
  readonly packet: string;
  /** Hosts that it arrived at and that accepted it. */
  readonly reached: readonly VirtualHost[];
  /** All that happened on the way, a line each. */
  readonly trace: string;
  readonly #events: readonly TraceEvent[];

  constructor({ packet, events, packets, reached, trace }: OutcomeInit) {
    this.packet = packet;
    this.reached = reached;
    this.trace = trace;
    this.#events = events.filter((event) => packets.has(event.packet));
  }

  /** The switch received it and sent nothing of it on. */
  isDroppedBy(datapath: FakeDatapath): boolean {
    const here = this.#events.filter(({ node }) => node === datapath.name);
    return here.some(({ type }) => type === 'received') && !here.some(({ type }) => type === 'sent');
  }

  /** Entries it met on a switch, in their order. */
  entriesOf(datapath: FakeDatapath): readonly MatchedEntry[] {
    return this.#events.flatMap((event) =>
      event.node === datapath.name && event.type === 'step' && event.step.type === 'table'
        ? (event.step.entry ?? [])
        : [],
    );
  }

  /** It met an entry like this on the switch. */
  matched(datapath: FakeDatapath, pattern: EntryPattern): boolean {
    return this.entriesOf(datapath).some((entry) => fits(entry, pattern));
  }
}

const fits = (entry: MatchedEntry, { actions, match, ...rest }: EntryPattern): boolean => {
  const plain = Object.entries(rest) as [keyof typeof rest, unknown][];
  if (!plain.every(([name, value]) => value === undefined || entry[name] === value)) return false;
  const fields = entry.match as Record<string, unknown>;
  const wanted = Object.entries(match ?? {});
  if (!wanted.every(([name, value]) => String(fields[name]) === String(value))) return false;
  return actions === undefined || describeActions(actionsOf(entry)) === describeActions(actions);
};

const actionsOf = ({ instructions }: MatchedEntry): ActionInit[] =>
  instructions.flatMap((instruction) =>
    instruction.type === 'apply_actions' || instruction.type === 'write_actions' ? instruction.actions : [],
  );

/** `an entry of table 0, priority 100 {ipv4_dst=10.0.0.2} drop`. */
export const describePattern = ({ table_id, priority, cookie, match, actions }: EntryPattern): string =>
  [
    'an entry',
    table_id === undefined ? '' : ` of table ${table_id}`,
    priority === undefined ? '' : ` of priority ${priority}`,
    cookie === undefined ? '' : ` with cookie ${cookie}`,
    match === undefined ? '' : ` {${describeMatch(match)}}`,
    actions === undefined ? '' : ` ${describeActions(actions)}`,
  ].join('');
