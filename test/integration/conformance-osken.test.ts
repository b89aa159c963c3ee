/** The conformance runner against what it stands for: os-ken's own frames, and a run on real links. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FrameTemplate, sequence } from '../conformance/frame.ts';
import { hasCommand } from '../support/environment.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const patterns = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors/os-ken/switch_tests');
const have = existsSync(patterns);
if (!have) console.warn(`no test patterns in ${patterns}: set FLOWCELL_SHARED to the folder that has them`);

/** One of each list of expressions in the patterns that always makes the same frame. */
function frames(): string[][] {
  const found = new Map<string, string[]>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value) && /^ethernet\(/.test(String(value[0]))) {
      const list = value as string[];
      if (!list.some((one) => one.includes('randint'))) found.set(list.join('/'), list);
    } else if (typeof value === 'object' && value !== null) {
      for (const one of Object.values(value)) visit(one);
    }
  };
  for (const file of readdirSync(patterns, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.json')) visit(JSON.parse(readFileSync(join(patterns, file), 'utf8')));
  }
  return [...found.values()];
}

describe.skipIf(!have || !hasCommand('osken-manager'))("os-ken's packets", () => {
  test('every frame of the patterns is the same byte for byte', () => {
    const lists = frames();
    const script = join(root, 'test/conformance/osken-frames.py');
    // Debian's Python: another one in the PATH does not have os-ken.
    const result = spawnSync('/usr/bin/python3', [script], {
      input: JSON.stringify(lists),
      encoding: 'utf8',
    });
    expect(result.stderr).toBe('');
    const ours = lists.map((list) => Buffer.from(new FrameTemplate(list).build(sequence(1))).toString('hex'));
    expect(lists.length).toBeGreaterThan(200);
    expect(ours).toEqual(JSON.parse(result.stdout));
  });
});

describeNetwork('npm run conformance', () => {
  const run = (...args: string[]) =>
    spawnSync(join(root, 'bin/node'), [join(root, 'test/conformance/run.ts'), ...args], { encoding: 'utf8' });

  test.skipIf(!have)('reports what passes, per group, and what does not', () => {
    // Before a packet counts as lost, ms: the machine may be busy.
    const patience = ['--timeout', '20000'];
    const only = '^match/(00_IN_PORT|06_VLAN_VID): |^action/17_PUSH_VLAN: ';
    const result = run('--json', ...patience, '--only', only);
    expect(result.stderr).toBe('');
    const report = JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(report).toMatchObject({
      ...{ ok: true, target: 'flowcell', failed: 0, failures: [] },
      groups: { match: { total: 18, passed: 18 }, action: { total: 3, passed: 3 }, meter: { total: 0 } },
    });
    expect(result.status).toBe(0);
  });

  test.skipIf(!have)('lists, and says what is wrong with its arguments', () => {
    expect(run('--list', '--only', '^match/00').stdout.trim().split('\n')).toHaveLength(9);
    expect(run('--target', 'nothing')).toMatchObject({ status: 2, stdout: '' });
    expect(run('--only', 'no such case').stderr).toMatch(/^conformance: no case/);
  });
});
