/** The program `openflow` as cells run it, telling of every step. */

import type { Op } from '../sandbox/guest/openflow/actions.ts';
import type { FlowEntry } from '../sandbox/guest/openflow/entry.ts';
import type { Bucket } from '../sandbox/guest/openflow/groups.ts';
import { Pipeline, type PipelineParts } from '../sandbox/guest/openflow/pipeline.ts';
import { OpenFlowProgram } from '../sandbox/guest/openflow/program.ts';
import type { PacketView } from '../sandbox/guest/packet-view.ts';
import type { Packet } from '../sandbox/guest/program.ts';
import { describeOp } from './describe-op.ts';
import type { InstalledEntry, MatchedEntry, Step } from './steps.ts';

const described = ({ tableId, priority, cookie, match, instructions }: FlowEntry): MatchedEntry => ({
  table_id: tableId,
  priority,
  cookie,
  match,
  instructions,
});

export class TracedProgram extends OpenFlowProgram {
  readonly #step: (step: Step) => void;
  #parts: PipelineParts | undefined;

  constructor(step: (step: Step) => void) {
    super();
    this.#step = step;
  }

  /** What is in its tables now, with what has been counted. */
  entries(): InstalledEntry[] {
    const entries = [...(this.#parts?.tables.all() ?? [])];
    return entries.map((entry) => ({ ...described(entry), packets: entry.packets, bytes: entry.bytes }));
  }

  override packet(packet: Packet): void {
    this.#step({ type: 'begin', in_port: packet.inPort, packetOut: packet.packetOutXid !== 0 });
    super.packet(packet);
  }

  protected override makePipeline(parts: PipelineParts): Pipeline {
    this.#parts = parts;
    return new TracedPipeline(parts, this.#step);
  }
}

class TracedPipeline extends Pipeline {
  readonly #step: (step: Step) => void;
  readonly #bucketsOf: (group: number) => readonly Bucket[];
  #group = 0;

  constructor(parts: PipelineParts, step: (step: Step) => void) {
    super(parts);
    this.#step = step;
    this.#bucketsOf = (group) => parts.groups.get(group)?.buckets ?? [];
  }

  protected override lookup(tableId: number): FlowEntry | undefined {
    const found = super.lookup(tableId);
    this.#step({ type: 'table', table_id: tableId, entry: found && described(found) });
    return found;
  }

  protected override meter(packet: PacketView, id: number): boolean {
    const passed = super.meter(packet, id);
    this.#step({ type: 'meter', meter_id: id, dropped: !passed });
    return passed;
  }

  protected override executeOp(packet: PacketView, op: Op, last: boolean): boolean {
    this.#step({ type: 'action', action: describeOp(op) });
    return super.executeOp(packet, op, last);
  }

  protected override group(packet: PacketView, id: number, last: boolean): void {
    const outer = this.#group;
    this.#group = id;
    super.group(packet, id, last);
    this.#group = outer;
  }

  protected override bucket(packet: PacketView, bucket: Bucket, last: boolean): void {
    this.#step({
      type: 'bucket',
      group_id: this.#group >>> 0,
      bucket: this.#bucketsOf(this.#group).indexOf(bucket),
    });
    super.bucket(packet, bucket, last);
  }
}
