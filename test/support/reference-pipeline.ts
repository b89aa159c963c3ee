/** The tables and action sets of OpenFlow 1.3 as plainly as they can be written, to test the real pipeline against. */
import type { Action, Instruction, Match } from '../../openflow/index.ts';
import { parseIpv4, parseIpv6, parseMac } from '../../packet/index.ts';
import { type Description, InvalidTtl, NoRoom, ReferencePacket } from './reference-packet.ts';

export interface Entry {
  table_id: number;
  priority: number;
  cookie: bigint;
  match: Match;
  instructions: Instruction[];
}

/** What the pipeline decides, as GuestHarness.send tells it. */
export interface Outcome {
  kind: 'output' | 'controller';
  /** Port, or packet-in reason. */
  port: number;
  frame: string;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

const CONTROLLER = 0xfffffffd;

function integer(value: unknown): bigint {
  if (typeof value !== 'string') return BigInt(value as number | bigint);
  if (value.includes('.')) return BigInt(parseIpv4(value));
  return value.split(':').length === 6 && !value.includes('::') ? parseMac(value) : parseIpv6(value);
}

function matches(match: Match, fields: Record<string, bigint>): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const [value, mask] = Array.isArray(wanted) ? wanted : [wanted, undefined];
    const bits = mask === undefined ? -1n : integer(mask);
    return fields[name] !== undefined && (fields[name] & bits) === (integer(value) & bits);
  });
}

/** An action in the action set, and whether a table-miss entry wrote it. */
interface Written {
  action: Action;
  miss: boolean;
}

/** Of each kind of action the last, in the order in which an action set is executed. */
export function inSetOrder<T>(list: readonly T[], actionOf: (one: T) => Pick<Action, 'type'>): T[] {
  const kind = (one: T) => {
    const action = actionOf(one) as Action;
    return action.type === 'set_field' ? `set ${Object.keys(action.field)[0]}` : action.type;
  };
  const rank = (name: string) => (name.startsWith('set ') ? ORDER.indexOf('set_field') : ORDER.indexOf(name));
  const last = new Map(list.map((one) => [kind(one), one]));
  return [...last].sort(([x], [y]) => rank(x) - rank(y)).map(([, one]) => one);
}

/** Section 5.10. */
const ORDER = [
  'copy_ttl_in',
  ...['pop_vlan', 'pop_mpls', 'pop_pbb'],
  ...['push_mpls', 'push_pbb', 'push_vlan'],
  'copy_ttl_out',
  ...['dec_mpls_ttl', 'dec_nw_ttl'],
  ...['set_mpls_ttl', 'set_nw_ttl', 'set_field'],
  'output',
];

class Walk {
  readonly outcomes: Outcome[] = [];
  private readonly packet: ReferencePacket;
  private readonly inPort: number;
  private metadata = 0n;
  private tableId = 0;
  private entry: Entry | undefined;

  constructor(packet: Description, inPort: number) {
    this.packet = new ReferencePacket(packet);
    this.inPort = inPort;
  }

  run(entries: readonly Entry[]): void {
    let set: Written[] = [];
    for (let next: number | undefined = 0; next !== undefined; ) {
      this.tableId = next;
      next = undefined;
      const fields = {
        ...this.packet.fields(),
        in_port: BigInt(this.inPort),
        metadata: this.metadata,
      };
      this.entry = entries
        .filter((entry) => entry.table_id === this.tableId && matches(entry.match, fields))
        .sort((x, y) => y.priority - x.priority)[0];
      if (this.entry === undefined) return;
      const of = <T extends Instruction['type']>(type: T) =>
        this.entry?.instructions.find((i): i is Extract<Instruction, { type: T }> => i.type === type);
      const miss = this.entry.priority === 0 && Object.keys(this.entry.match).length === 0;
      for (const action of of('apply_actions')?.actions ?? []) this.act(action, miss);
      if (of('clear_actions')) set = [];
      for (const action of of('write_actions')?.actions ?? []) set.push({ action, miss });
      const write = of('write_metadata');
      if (write) {
        this.metadata = (this.metadata & ~write.metadata_mask) | (write.metadata & write.metadata_mask);
      }
      next = of('goto_table')?.table_id;
    }
    this.runSet(set);
  }

  private runSet(set: Written[]): void {
    for (const { action, miss } of inSetOrder(set, ({ action }) => action)) this.act(action, miss);
  }

  /** `miss`: it is a table-miss entry's action. */
  private act(action: Action, miss: boolean): void {
    if (action.type !== 'output') {
      this.edit(action);
    } else if (action.port === CONTROLLER) {
      this.emit('controller', miss ? 0 : 1);
    } else if (action.port !== this.inPort) {
      this.emit('output', action.port);
    }
  }

  private edit(action: Action): void {
    try {
      this.packet.edit(action);
    } catch (error) {
      if (error instanceof InvalidTtl) this.emit('controller', 2);
      throw error;
    }
  }

  private emit(kind: Outcome['kind'], port: number): void {
    const toController = kind === 'controller';
    this.outcomes.push({
      kind,
      port,
      frame: Buffer.from(this.packet.bytes).toString('hex'),
      tableId: toController ? this.tableId : 0,
      cookie: toController ? this.entry!.cookie : 0n,
      metadata: toController ? this.metadata : 0n,
    });
  }
}

/** What becomes of a packet. Throws Unspecified where the specification leaves that open. */
export function referencePipeline(entries: readonly Entry[], packet: Description, inPort: number): Outcome[] {
  const walk = new Walk(packet, inPort);
  try {
    walk.run(entries);
  } catch (error) {
    if (!(error instanceof NoRoom) && !(error instanceof InvalidTtl)) throw error;
  }
  return walk.outcomes;
}
