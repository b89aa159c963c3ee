/** `flowcell cells` */

import type { Command } from 'commander';
import { type AgentCell, cellFlow } from './lib/agent-state.ts';
import { bytes, integer, micros } from './lib/format.ts';
import { listing } from './lib/listing.ts';

export function configure(command: Command): void {
  listing<AgentCell[], AgentCell>(command, {
    path: '/cells',
    noun: 'cells',
    rows: (cells) => cells,
    columns: [
      { title: 'CELL', value: (cell) => cell.id, align: 'right' },
      { title: 'STATE', value: (cell) => cell.state },
      { title: 'PROGRAM', value: (cell) => cell.program },
      { title: 'FLOW', value: cellFlow },
      { title: 'PACKETS', value: (cell) => integer(cell.packets), align: 'right' },
      { title: 'BY KERNEL', value: (cell) => integer(cell.kernel_packets), align: 'right' },
      { title: 'BYTES', value: (cell) => bytes(cell.bytes), align: 'right' },
      { title: 'HEAP', value: (cell) => bytes(cell.heap_bytes), align: 'right' },
      { title: 'CPU', value: (cell) => micros(cell.cpu_us), align: 'right' },
      { title: 'SET-UP', value: (cell) => micros(cell.setup_us), align: 'right' },
      { title: 'AGE', value: (cell) => `${Math.round(cell.age_s)} s`, align: 'right' },
    ],
  });
}
