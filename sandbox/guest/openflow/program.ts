/** The built-in switch program: a complete OpenFlow 1.3 pipeline, with flow tables of the cell's own. */
import { encode } from '../../../openflow/index.ts';
import type { PacketView } from '../packet-view.ts';
import type { Cell, Packet, Pause, Program } from '../program.ts';
import { Groups } from './groups.ts';
import { Journal } from './journal.ts';
import { Liveness } from './liveness.ts';
import { Messages } from './messages.ts';
import { Meters } from './meters.ts';
import { Paths } from './paths.ts';
import { Pipeline, type PipelineParts } from './pipeline.ts';
import { type Steps, Task } from './steps.ts';
import { Tables } from './table.ts';
import { TableSettings } from './table-settings.ts';
import { Clock, Timeouts } from './timeouts.ts';

export class OpenFlowProgram implements Program {
  private readonly compileAfter: number | undefined;
  private readonly maxEntries: number | undefined;
  private readonly task = new Task();
  private clock!: Clock;
  private timeouts!: Timeouts;
  private messages!: Messages;
  private pipeline!: Pipeline;

  /**
   * `compileAfter`: look-ups after which a small table is compiled; tests want that at once, or never. `maxEntries`: in
   * all tables together.
   */
  constructor(compileAfter?: number, maxEntries?: number) {
    this.compileAfter = compileAfter;
    this.maxEntries = maxEntries;
  }

  start(cell: Cell): void {
    const clock = new Clock(cell);
    const journal = new Journal();
    const tables = new Tables(this.compileAfter, this.maxEntries);
    const settings = new TableSettings(journal);
    const liveness = new Liveness();
    const groups = new Groups(clock, liveness, journal);
    const meters = new Meters(clock, journal);
    const paths = new Paths(tables, clock, (message) => cell.send(encode(message)));
    const timeouts = new Timeouts(cell, clock, paths, (entry, reason) =>
      this.messages.flowMods.remove(entry, reason),
    );
    const parts = { clock, journal, tables, settings, timeouts, groups, meters, liveness, paths };
    this.clock = clock;
    this.timeouts = timeouts;
    this.messages = new Messages(parts, (message) => cell.send(message));
    this.pipeline = this.makePipeline(parts);
  }

  /** The test kit has one that shows its steps. */
  protected makePipeline(parts: PipelineParts): Pipeline {
    return new Pipeline(parts);
  }

  packet(packet: Packet): void {
    // The runtime's own packet object is the only one there is.
    const view = packet as PacketView;
    this.clock.update();
    if (!view.isPacketOut) {
      this.pipeline.packet(view);
      return;
    }
    const ops = this.messages.takePacketOut(view.packetOutXid);
    if (ops !== undefined) this.pipeline.packetOut(view, ops);
  }

  message(message: Uint8Array): void {
    if (!this.messages.handlePlain(message)) this.task.begin(this.messages.handle(message));
  }

  get pending(): Pause | undefined {
    return this.task.pending;
  }

  work(): void {
    this.task.carryOn();
  }

  timer(): void {
    this.task.begin(this.expire());
  }

  private *expire(): Steps {
    yield* this.timeouts.run();
    this.messages.reportVacancy();
  }
}
