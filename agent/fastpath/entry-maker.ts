/** What a cell did with a packet, as an entry of the kernel's: where it went, and how it left. */
import { Port as PortNumber } from '../../openflow/index.ts';
import { NO_QUEUE, TX_KIND } from '../../sandbox/channel/layout.ts';
import type { Verdict } from '../../sandbox/client/types.ts';
import type { CellRecord } from '../cells.ts';
import { isForwarding } from '../dispatcher/output.ts';
import type { Frame } from '../ports/frames.ts';
import { NO_FLOOD, type Port } from '../ports/port.ts';
import { type CellFlows, type ControllerCopy, type HeadOfRecord, MAX_OUTPUTS } from './cached-flow.ts';
import { Edits } from './edits.ts';
import type { Shape } from './flow-key.ts';
import { ENTRY } from './layout.ts';
import type { FastPathOptions, Wire } from './options.ts';

const ETHERNET = 14;

/** Notes a record of a packet that has several; when the last of them is there the entry is made. */
export const collect = (state: CellFlows, verdict: Verdict<Frame>): void => {
  const { frame, kind, port, queue } = verdict;
  if (state.frame !== frame) {
    state.frame = frame;
    state.count = 0;
    state.plain = true;
    state.toController = false;
  }
  if (kind === TX_KIND.TO_CONTROLLER) {
    if (state.toController) state.plain = false;
    state.toController = true;
    noteCopy(state, verdict);
    return;
  }
  if (state.count === 0) noteHead(state.head, verdict);
  if (
    kind !== TX_KIND.OUTPUT ||
    queue !== NO_QUEUE ||
    !isSameHead(verdict, state.head) ||
    state.count === MAX_OUTPUTS
  ) {
    state.plain = false;
    return;
  }
  state.ports[state.count++] = port;
};

const noteHead = (head: HeadOfRecord, { headOffset, headLength, headConsumed }: HeadOfRecord): void => {
  head.headOffset = headOffset;
  head.headLength = headLength;
  head.headConsumed = headConsumed;
};

const noteCopy = ({ copy }: CellFlows, verdict: Verdict<Frame>): void => {
  noteHead(copy, verdict);
  copy.reason = verdict.port;
  copy.tableId = verdict.tableId;
  copy.cookie = verdict.cookie;
  copy.metadata = verdict.metadata;
};

const isSameHead = (a: HeadOfRecord, b: HeadOfRecord): boolean =>
  a.headOffset === b.headOffset && a.headLength === b.headLength && a.headConsumed === b.headConsumed;

/** The packet-in shows the packet as it leaves by the ports. */
const showsWhatLeaves = ({ head, copy }: CellFlows, { region, frame }: Verdict<Frame>): boolean => {
  if (head.headLength !== 0) return isSameHead(head, copy);
  const { headOffset, headLength, headConsumed } = copy;
  const came = frame.bytes.subarray(frame.offset, frame.offset + headConsumed);
  return (
    headLength === headConsumed &&
    Buffer.compare(region.subarray(headOffset, headOffset + headLength), came) === 0
  );
};

export class EntryMaker {
  readonly #options: Pick<FastPathOptions, 'ports' | 'wireOf' | 'mayUse'>;
  readonly #edits = new Edits();
  /** Ports that packets leave by, of the entry made last. */
  readonly outputs: Port[] = [];
  /** What the controller is told with a copy of each, of the entry made last. */
  copy: ControllerCopy | undefined;

  constructor(options: Pick<FastPathOptions, 'ports' | 'wireOf' | 'mayUse'>) {
    this.#options = options;
  }

  /** Bytes that packets grow by, of the entry made last. */
  get growth(): number {
    return this.#edits.growth;
  }

  /** `key`: of the frame, which has this shape. Undefined: no entry says it. Valid until the next one is made. */
  make(cell: CellRecord, verdict: Verdict<Frame>, shape: Shape, key: Uint8Array): Uint8Array | undefined {
    const { frame, region } = verdict;
    this.copy = undefined;
    if (!this.#resolve(cell, verdict)) return undefined;
    const { headOffset, headLength, headConsumed } = cell.flows?.frame === frame ? cell.flows.head : verdict;
    // A drop has no head, and a packet that leaves as it came none of its own.
    const isUntouched = verdict.kind === TX_KIND.DONE || headLength === 0;
    const head = isUntouched
      ? { bytes: frame.bytes, offset: frame.offset, length: frame.length, consumed: frame.length }
      : { bytes: region, offset: headOffset, length: headLength, consumed: headConsumed };
    if (!this.#edits.derive(frame.bytes, frame.offset, shape, head)) return undefined;
    const { entry } = this.#edits;
    entry.set(key, ENTRY.KEY);
    const fields = new DataView(entry.buffer);
    let mtu = 0xffff;
    this.outputs.forEach((port, i) => {
      const wire = this.#options.wireOf(port)!;
      mtu = Math.min(mtu, wire.mtu);
      const isLast = i === this.outputs.length - 1;
      fields.setUint32(isLast ? ENTRY.OUTPUT : ENTRY.COPIES + 4 * i, wire.index, true);
    });
    fields.setUint32(ENTRY.MAX_LENGTH, mtu + ETHERNET, true);
    return entry;
  }

  /** Packets with this key leave by the port as they came. */
  plain(key: Uint8Array, port: Port, wire: Wire): Uint8Array {
    this.#edits.none();
    const { entry } = this.#edits;
    entry.set(key, ENTRY.KEY);
    const fields = new DataView(entry.buffer);
    fields.setUint32(ENTRY.OUTPUT, wire.index, true);
    fields.setUint32(ENTRY.MAX_LENGTH, wire.mtu + ETHERNET, true);
    this.outputs.length = 0;
    this.outputs.push(port);
    this.copy = undefined;
    return entry;
  }

  /** The entry made last changes nothing in a packet, and sends it to one port. */
  get isPlain(): boolean {
    const fields = new DataView(this.#edits.entry.buffer);
    const changes = fields.getUint32(ENTRY.EDITS, true) | fields.getUint32(ENTRY.TTL, true);
    return changes === 0 && this.outputs.length === 1 && this.copy === undefined;
  }

  /** Ports the packet leaves by; false: one of them is not the kernel's, or refuses it (which is to be counted). */
  #resolve(cell: CellRecord, verdict: Verdict<Frame>): boolean {
    const { outputs } = this;
    outputs.length = 0;
    if (verdict.kind === TX_KIND.DONE) return cell.flows?.frame !== verdict.frame;
    const state = cell.flows;
    if (state?.frame !== verdict.frame) {
      return verdict.queue === NO_QUEUE && this.#addOutput(cell, verdict.port, verdict.frame.inPort);
    }
    if (!state.plain) return false;
    // What goes to the controller alone is not worth an entry.
    if (state.toController) {
      if (state.count === 0 || !showsWhatLeaves(state, verdict)) return false;
      const { reason, tableId, cookie, metadata } = state.copy;
      this.copy = { reason, tableId, cookie, metadata };
    }
    for (let i = 0; i < state.count; i++) {
      if (!this.#addOutput(cell, state.ports[i], verdict.frame.inPort)) return false;
    }
    return outputs.length <= MAX_OUTPUTS;
  }

  #addOutput(cell: CellRecord, number: number, inPort: number): boolean {
    const { ports } = this.#options;
    if (number === PortNumber.FLOOD || number === PortNumber.ALL) {
      for (const port of ports.list) {
        if (port.number === inPort || !this.#options.mayUse(cell.tenant, port.number)) continue;
        if (!isForwarding(port) || (number === PortNumber.FLOOD && port.config & NO_FLOOD)) continue;
        if (!this.#addPort(port)) return false;
      }
      return true;
    }
    const port = ports.get(number === PortNumber.IN_PORT ? inPort : number);
    if (port === undefined || number === inPort || !this.#options.mayUse(cell.tenant, port.number))
      return false;
    return isForwarding(port) && this.#addPort(port);
  }

  #addPort(port: Port): boolean {
    if (this.outputs.length === MAX_OUTPUTS || !port.link.running) return false;
    if (this.#options.wireOf(port) === undefined) return false;
    this.outputs.push(port);
    return true;
  }
}
