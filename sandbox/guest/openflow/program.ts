/** The built-in switch program: a complete OpenFlow 1.3 pipeline, with flow tables of the cell's own. */
import type { PacketView } from '../packet-view.ts';
import type { Cell, Packet, Program } from '../program.ts';
import { Messages } from './messages.ts';
import { Pipeline } from './pipeline.ts';
import { Tables } from './table.ts';
import { Clock, Timeouts } from './timeouts.ts';

export class OpenFlowProgram implements Program {
  private readonly compileAfter: number | undefined;
  private clock!: Clock;
  private timeouts!: Timeouts;
  private messages!: Messages;
  private pipeline!: Pipeline;

  /** `compileAfter`: look-ups after which a small table is compiled; tests want that at once, or never. */
  constructor(compileAfter?: number) {
    this.compileAfter = compileAfter;
  }

  start(cell: Cell): void {
    const tables = new Tables(this.compileAfter);
    this.clock = new Clock(cell);
    this.timeouts = new Timeouts(cell, this.clock, (entry, reason) => this.messages.remove(entry, reason));
    this.messages = new Messages(cell, tables, this.clock, this.timeouts);
    this.pipeline = new Pipeline(tables, this.clock);
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
    this.messages.handle(message);
  }

  timer(): void {
    this.timeouts.run();
  }
}
