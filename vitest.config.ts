import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

type Exports = Record<string, string | { 'flowcell-source': string }>;
const { exports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  exports: Exports;
};

/** What users import by the package's name is the source here: the examples in docs/ are run as they stand there. */
const alias = Object.entries(exports).flatMap(([name, target]) =>
  typeof target === 'string'
    ? []
    : [
        {
          find: new RegExp(`^flowcell${name.slice(1)}$`),
          replacement: fileURLToPath(new URL(target['flowcell-source'], import.meta.url)),
        },
      ],
);

/** The flags of bin/node (see there); a test that opens isolates without them tests something else. */
const execArgv = [
  '--no-node-snapshot',
  '--no-concurrent-recompilation',
  '--disable-warning=ExperimentalWarning',
];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/fuzz/**/*.test.ts', 'mine/**/*.test.ts'],
          pool: 'forks',
          execArgv,
          // Of use only when something hangs: a busy machine is many times slower than an idle one.
          testTimeout: 180_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          pool: 'forks',
          execArgv,
          // One file at a time, after the unit tests: they share the machine's cores and time real packets.
          fileParallelism: false,
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'mininet',
          include: ['test/mininet/**/*.test.ts'],
          pool: 'forks',
          execArgv,
          // Each run has namespaces of its own, and much of its time is Mininet's own waiting: two at a time.
          fileParallelism: false,
          maxWorkers: 1,
          maxConcurrency: 2,
          // Longer than a run in it may take (test/support/mininet.ts).
          testTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
