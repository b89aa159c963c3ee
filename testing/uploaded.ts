/** A program that a controller has uploaded, as a cell has it, but for the walls: plain code in a context of its own. */
import { answerFor, BARRIER_REQUEST } from '../sandbox/guest/answer.ts';
import type { Cell, Packet, Program } from '../sandbox/guest/program.ts';

export class UploadedProgram implements Program {
  #program: Program | undefined;
  #cell: Cell | undefined;

  /** What the script sees as `flowcell`. */
  readonly global = Object.freeze({
    program: (program: Program): void => {
      if (this.#program !== undefined) throw new Error('flowcell.program() is called once');
      if (typeof program?.packet !== 'function') {
        throw new TypeError('a program has a method packet(packet)');
      }
      this.#program = program;
    },
  });

  /** Throws when the script has not called flowcell.program(). */
  check(): void {
    if (this.#program === undefined) throw new Error('the script has not called flowcell.program()');
  }

  start(cell: Cell): void {
    this.#cell = cell;
    this.#program?.start?.(cell);
  }

  packet(packet: Packet): void {
    this.#program?.packet(packet);
  }

  message(message: Uint8Array): void {
    const take = this.#program?.message;
    if (take === undefined || message[1] === BARRIER_REQUEST) this.#cell?.send(answerFor(message));
    else take.call(this.#program, message);
  }

  timer(now: number): void {
    this.#program?.timer?.(now);
  }
}
