/** docs/mininet.md: its commands, script and app, run as they stand there. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inMininet, NOTHING_LEFT, PYTHON } from '../support/mininet.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const CLEAN = { exit: 0, ...NOTHING_LEFT };
const page = await readFile(join(root, 'docs/mininet.md'), 'utf8');
/** Language, file (if it is one) and text of each block that is marked. */
const blocks = [...page.matchAll(/```(\w+) run(?:=(\S+))?\n([\s\S]*?)```/g)].map(
  ([, language, file, text]) => ({
    language,
    file,
    text,
  }),
);
const commands = blocks.filter(({ language }) => language === 'sh');
const scripts = blocks.filter(({ language }) => language === 'python');
/** Looks like a checkout. */
let folder: string;

describeNetwork('docs/mininet.md', ['mn'], () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fc-mininet-docs-'));
    for (const name of await readdir(root)) {
      if (!name.startsWith('.')) await symlink(join(root, name), join(folder, name));
    }
    for (const { file, text } of blocks) {
      if (file === undefined) continue;
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), text);
    }
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('has them all', () => {
    expect([commands.length, scripts.length, blocks.length]).toEqual([3, 1, 6]);
  });

  test.concurrent.each(commands.map(({ text }) => text.trim()))('%s', async (command) => {
    // Who runs this is root already.
    const argv = ['sh', '-c', `cd ${folder} && exec ${command.replace(/^sudo /, '')}`];
    const { output, stderr, left } = await inMininet(argv);
    // Colours, where vitest thinks that somebody looks.
    expect(stripVTControlCharacters(output + stderr)).toMatch(
      /Results: 0% dropped \((72\/72|2\/2) received\)|Tests +1 passed \(1\)/,
    );
    expect(left).toEqual(CLEAN);
  });

  test.concurrent.each(scripts.map(({ text }) => [text]))('the script', async (text) => {
    const env = { PYTHONPATH: join(folder, 'mininet') };
    const { output, stderr, left } = await inMininet([PYTHON, '-c', text], { env });
    expect(output, stderr).toContain("'state': 'running'");
    expect(left).toEqual(CLEAN);
  });
});
