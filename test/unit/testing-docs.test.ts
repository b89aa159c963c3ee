/** The examples in docs/testing.md: their tests run here, as they stand there. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Port } from '../../openflow/index.ts';
import { single, VirtualNetwork } from '../../testing/index.ts';
import '../../testing/vitest.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/testing.md'), 'utf8');
const examples = [...page.matchAll(/```ts example ([\w-]+)\n([\s\S]*?)```/g)];
const folder = mkdtempSync(join(tmpdir(), 'flowcell-kit-docs-'));
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every block of code on the page is an example that runs', () => {
  expect(examples.map(([, name]) => name)).toEqual(['learning-switch', 'acl', 'controller']);
  expect(page.match(/```ts/g)).toHaveLength(examples.length);
});

for (const [, name, code] of examples) {
  describe(name, async () => {
    const file = join(folder, `${name}.ts`);
    writeFileSync(file, code);
    await import(file);
  });
}

test('a failure looks as the page shows it', async () => {
  const shown = /```text trace\n([\s\S]*?)```/.exec(page)?.[1] ?? 'no such block';
  const net = await VirtualNetwork.create(single(3));
  const controller = await net.control(net.switches.s1);
  await controller.addFlows(
    {
      priority: 200,
      match: { eth_type: 0x800, ip_proto: 1 },
      actions: [{ type: 'output', port: Port.FLOOD }],
    },
    { priority: 100, match: { eth_type: 0x800 } },
  );
  const { h1, h2 } = net.hosts;
  const failure = await expect(h1.udp(h2, { dst: 53 }))
    .toReach(h2)
    .catch((error: Error) => error.message);
  expect(failure).toBe(shown.trimEnd());
  await net.close();
});
