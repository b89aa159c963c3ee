/** What `flowcell cells`, `rules` and `flows` share: which agents, and as a table or as JSON. */

import type { Command } from 'commander';
import { askAgents } from './agents.ts';
import { datapathId } from './options.ts';
import { runDir } from './run-dir.ts';
import { type Column, table } from './table.ts';

interface Options {
  device?: bigint;
  json?: boolean;
  runDir?: string;
}

export interface Listing<State, Row> {
  /** Path on the agent's socket. */
  readonly path: string;
  /** What there is none of, for people. */
  readonly noun: string;
  readonly rows: (state: State) => Row[];
  readonly columns: readonly Column<Row>[];
}

/** Makes a listing command: `--json` prints what the agents say, as it is, by datapath id. */
export function listing<State, Row>(command: Command, list: Listing<State, Row>): void {
  command
    .option('--device <id>', 'only the agent with this datapath id', datapathId)
    .option('--json', 'print JSON')
    .option('--run-dir <folder>', "folder with the agents' sockets (default: $FLOWCELL_RUN_DIR)")
    .action(async (options: Options) => {
      const answers = await askAgents<State>(options.runDir ?? runDir(), list.path, options.device);
      if (options.json === true) {
        const byDevice = Object.fromEntries(answers.map(({ device, state }) => [device, state]));
        process.stdout.write(`${JSON.stringify(byDevice)}\n`);
        return;
      }
      const lines = answers.flatMap(({ device, state }) => {
        const rows = list.rows(state);
        const heading = answers.length > 1 ? [`datapath ${device}`] : [];
        return [...heading, ...(rows.length === 0 ? [`no ${list.noun}`] : table(list.columns, rows))];
      });
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}
