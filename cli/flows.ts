/** `flowcell flows` */

import type { Command } from 'commander';
import type { AgentEntry, AgentFlows } from './lib/agent-state.ts';
import { bytes, instructionsText, integer, matchText } from './lib/format.ts';
import { listing } from './lib/listing.ts';

/** A flow entry and the cell it is in; without an entry the cell did not answer. */
export interface Row {
  cell: number;
  entry?: AgentEntry;
}

export function flowRows(cells: readonly AgentFlows[]): Row[] {
  return cells.flatMap(({ cell, flows }): Row[] =>
    flows === null ? [{ cell }] : flows.map((entry) => ({ cell, entry })),
  );
}

/** The match without the field that only says which cell's table it is in: that has a column. */
function ownMatch({ match: { cell: _cell, ...match } }: AgentEntry): string {
  return matchText(match);
}

export function configure(command: Command): void {
  listing<AgentFlows[], Row>(command, {
    path: '/flows',
    noun: 'flow entries',
    rows: flowRows,
    columns: [
      { title: 'CELL', value: ({ cell }) => cell, align: 'right' },
      { title: 'TABLE', value: ({ entry }) => entry?.table_id ?? '-', align: 'right' },
      { title: 'PRIORITY', value: ({ entry }) => entry?.priority ?? '-', align: 'right' },
      {
        title: 'PACKETS',
        value: ({ entry }) => (entry ? integer(BigInt(entry.packet_count)) : '-'),
        align: 'right',
      },
      {
        title: 'BYTES',
        value: ({ entry }) => (entry ? bytes(Number(entry.byte_count)) : '-'),
        align: 'right',
      },
      { title: 'MATCH', value: ({ entry }) => (entry ? ownMatch(entry) : 'the cell does not answer') },
      { title: 'DOES', value: ({ entry }) => (entry ? instructionsText(entry.instructions) : '') },
    ],
  });
}
