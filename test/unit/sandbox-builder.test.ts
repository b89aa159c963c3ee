/** Isolates as the host builds them, without the host. */
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { regionOffset } from '../../sandbox/channel/control.ts';
import { builtInPrograms } from '../../sandbox/client/programs.ts';
import { Builder, type Program } from '../../sandbox/host/builder.ts';
import { memfdCreate } from '../../sandbox/sys/libc.ts';

// As the host runs.
setFlagsFromString('--expose-gc');

const MEMORY_MIB = 16;
const CELLS = 1;
// Both are kept for ever: the builder's windows show these pages, and V8 must not free them.
const builder = await Builder.create(memfdCreate('test', regionOffset(CELLS)));
const [{ hash, code }] = await builtInPrograms();

async function build(program: Program, warm: boolean): Promise<void> {
  const { isolate, run } = await builder.build(program, MEMORY_MIB, 0, warm);
  expect(await run.apply(undefined, [0])).toBe(0);
  isolate.dispose();
}

test('isolates are loaded with the code that was compiled for the first warm one', async () => {
  const program: Program = { hash, runtime: { code }, uploaded: null };
  const compiled = () => program.runtime.compiled!.copy().byteLength;
  await build(program, false);
  const before = compiled();
  await build(program, true);
  const after = compiled();
  // The functions of a flow's set-up are a good part of the program.
  expect(after).toBeGreaterThan(1.3 * before);
  await build(program, true);
  await build(program, false);
  expect(compiled()).toBe(after);
});
