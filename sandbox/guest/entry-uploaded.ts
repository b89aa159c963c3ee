/**
 * Evaluated before an uploaded program: hardens the globals and defines `flowcell.program(p)`, which the
 * uploaded script calls once with its Program. What that throws is caught here and never touched.
 */
import { answerFor, BARRIER_REQUEST } from './answer.ts';
import { defineCell } from './cell-globals.ts';
import { harden } from './harden.ts';
import type { Cell, Packet, Program } from './program.ts';

/** Stands in for the uploaded program, which comes later. */
class Uploaded implements Program {
  program: Program | undefined;
  private cell!: Cell;

  start(cell: Cell): void {
    if (this.program === undefined) throw new Error('no program');
    this.cell = cell;
    this.program.start?.(cell);
  }

  packet(packet: Packet): void {
    this.program!.packet(packet);
  }

  message(message: Uint8Array): void {
    const program = this.program!;
    if (program.message === undefined || message[1] === BARRIER_REQUEST) this.cell.send(answerFor(message));
    else program.message(message);
  }

  timer(now: number): void {
    this.program!.timer?.(now);
  }
}

class Forward implements Program {
  packet(packet: Packet): void {
    packet.output(2);
  }
}

const uploaded = new Uploaded();
defineCell({
  program: uploaded,
  warmUp: {
    makeProgram: () => new Forward(),
    messages: () => [],
    startsAhead: false,
    rounds: 2,
    runs: 1,
    packets: 32,
  },
});

const flowcell = {
  program(program: Program): void {
    if (uploaded.program !== undefined) throw new Error('flowcell.program() is called once');
    if (typeof program?.packet !== 'function') throw new TypeError('a program has a method packet(packet)');
    uploaded.program = program;
  },
};
Object.defineProperty(globalThis, 'flowcell', { value: Object.freeze(flowcell) });

harden();
