/**
 * A controller as a process of its own whose first app gives UDP flows uploaded programs, by the server's port;
 * the learning switch gets all others. Options as JSON in the first argument.
 */

import { Controller, defineApp, FIVE_TUPLE_FIELDS } from '../../controller/index.ts';
import learningSwitch from './e2e-switch.ts';

export interface TestProgram {
  /** UDP port of its flows' servers. */
  port: number;
  name: string;
  code: string;
  onFailure?: 'restart' | 'quarantine' | 'drop';
  runMs?: number;
}

interface Options {
  port: number;
  runDir: string;
  programs: TestProgram[];
}

const { port, runDir, programs } = JSON.parse(process.argv[2]) as Options;

const testPrograms = defineApp({
  name: 'test-programs',
  flowFields: FIVE_TUPLE_FIELDS,
  async onDatapath(datapath) {
    for (const { name, code } of programs) await datapath.uploadProgram({ name, code });
  },
  onFlow({ match }) {
    // Once a cell has ended it may be an answer still under way that asks for the next one.
    const program = programs.find((one) => one.port === match.udp_dst || one.port === match.udp_src);
    if (program === undefined) return null;
    const { name, runMs, onFailure } = program;
    const cells = [{ program: name, ...(runMs === undefined ? {} : { runMs }) }];
    return {
      match,
      priority: 200,
      bothDirections: true,
      cells,
      entries: [],
      ...(onFailure && { onFailure }),
    };
  },
});

const controller = await Controller.start({
  port,
  host: '127.0.0.1',
  runDir,
  apps: [testPrograms, learningSwitch],
  // That a program does not load is known before its flow is given up for having waited too long.
  dispatch: { query_timeout_ms: 10_000 },
});
process.once('SIGTERM', () => controller.stop().then(() => process.exit(0)));
