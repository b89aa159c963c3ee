/** What warming is for: a flow's first packets find their code compiled, and V8 throws none of it away for them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
/** As hosts run; the traces are printed as things happen. */
const FLAGS = ['--no-sparkplug', '--expose-gc', '--trace-opt', '--trace-deopt'];
/** On every packet's way, and called so by nothing that is not in the cell. */
const HOT = ['packets', 'lookup', 'executeOp', 'output', 'record', 'finish', 'publish'];

test('the first flow of a warmed cell finds its code compiled and leaves it so', () => {
  const argv = [...FLAGS, path('test/support/first-flow.ts')];
  const { stdout, stderr, status } = spawnSync(path('bin/node'), argv, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  expect([status, stderr]).toEqual([0, '']);
  const [before, during] = stdout.split('MARK\n');
  const about = (text: string, what: RegExp) =>
    text.split('\n').filter((line) => what.test(line) && HOT.some((name) => line.includes(` ${name}`)));
  // Else a name is nobody's any more.
  const compiled = about(before, /completed compiling .*MAGLEV/);
  for (const name of HOT) expect(compiled.some((line) => line.includes(` ${name} `))).toBe(true);
  expect(about(during, /completed compiling|bailout|marking dependent code/)).toEqual([]);
});
