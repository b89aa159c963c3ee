/** `flowcell rules` */

import type { Command } from 'commander';
import type { AgentRule } from './lib/agent-state.ts';
import { bytes, integer, matchText } from './lib/format.ts';
import { listing } from './lib/listing.ts';

const timeout = (seconds: number) => (seconds === 0 ? '-' : `${seconds} s`);

export function configure(command: Command): void {
  listing<AgentRule[], AgentRule>(command, {
    path: '/rules',
    noun: 'rules',
    rows: (rules) => rules,
    columns: [
      { title: 'CELL', value: (rule) => rule.cell ?? '-', align: 'right' },
      { title: 'STATE', value: (rule) => rule.state },
      { title: 'PRIORITY', value: (rule) => rule.priority, align: 'right' },
      { title: 'DIRECTIONS', value: (rule) => (rule.both_directions ? 'both' : 'one') },
      { title: 'IDLE', value: (rule) => timeout(rule.idle_timeout), align: 'right' },
      { title: 'HARD', value: (rule) => timeout(rule.hard_timeout), align: 'right' },
      { title: 'PACKETS', value: (rule) => integer(rule.packets), align: 'right' },
      { title: 'BYTES', value: (rule) => bytes(rule.bytes), align: 'right' },
      { title: 'MATCH', value: (rule) => matchText(rule.match) },
    ],
  });
}
