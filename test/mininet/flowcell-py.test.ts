/** mininet/flowcell.py as users meet it: `mn`, the prompt, scripts, ends of every kind. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inMininet, MININET_SCRIPTS, NOTHING_LEFT, PYTHON } from '../support/mininet.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const CLEAN = { exit: 0, ...NOTHING_LEFT };
const MN = ['mn', '--custom', 'mininet/flowcell.py', '--switch', 'flowcell', '--controller'];

const script = (name: string, killAt?: string) =>
  inMininet([PYTHON, join(MININET_SCRIPTS, 'script.py'), name], {
    env: { PYTHONPATH: join(root, 'mininet') },
    ...(killAt === undefined ? {} : { killAt }),
  });

describeNetwork('mininet/flowcell.py', ['mn'], () => {
  test.concurrent('mn --test pingall', async () => {
    const argv = [...MN, 'flowcell,app=learning-switch', '--topo', 'tree,2,3', '--test', 'pingall'];
    const { stderr, output, left } = await inMininet(argv);
    expect(output + stderr).toContain('Results: 0% dropped (72/72 received)');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('the prompt: flowcell commands, dpctl, links', async () => {
    // From a file: at a prompt that reads a pipe, the first command of a host would swallow the rest.
    const folder = await mkdtemp(join(tmpdir(), 'fc-mininet-'));
    try {
      const commands = [
        'h1 ping -c1 h2',
        'sh flowcell cells',
        'dpctl dump-flows',
        'link s1 h1 down',
        'pingall',
      ];
      const file = join(folder, 'commands');
      await writeFile(file, [...commands, 'h1 ping -c1 -W1 h2', 'link s1 h1 up', 'pingall', ''].join('\n'));
      const controller = 'flowcell,granularity=five-tuple';
      const { output, stderr, left } = await inMininet([
        ...MN,
        controller,
        ...['--topo', 'single,2', '--test', 'none', '--post', file],
      ]);
      const said = output + stderr;
      const flow = /icmp.*10\.0\.0\.1.*10\.0\.0\.2/;
      expect(said).toMatch(new RegExp(`CELL .*STATE[\\s\\S]*${flow.source}`));
      expect(said).toMatch(/TABLE[\s\S]*output/);
      expect(said).toMatch(/ 100% packet loss[\s\S]* 0% dropped \(2\/2 received\)/);
      expect(left).toEqual(CLEAN);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.concurrent('a host moves to another switch', async () => {
    const { output, stderr, left } = await script('migration');
    expect(output, stderr).toBe('True\nTrue True [1, 3]');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('a switch that comes while the network runs', async () => {
    const { output, stderr, left } = await script('late');
    expect(output, stderr).toBe('True True');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('a switch that is stopped and started again', async () => {
    const { output, stderr, left } = await script('again');
    expect(output, stderr).toBe('False False\nTrue True');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('fail mode standalone: no controller, and packets all the same', async () => {
    const { output, stderr, left } = await script('standalone');
    expect(output, stderr).toBe('0.0');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('switches of two tenants: cells of two users', async () => {
    const { output, stderr, left } = await script('tenants');
    expect(output, stderr).toBe("0.0 ['64001', '64002'] ['00000000000000a1', '00000000000000a2']");
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('what cannot be started says why', async () => {
    const { output, stderr, left } = await script('refused');
    expect(output, stderr).toMatch(/port 6653|address is already in use/);
    expect(output).toContain('There is no network interface nothere here');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('killed, it leaves nothing behind', async () => {
    const { output, left } = await script('forever', 'running');
    expect(output).toBe('running 2');
    expect(left.exit).toBe(-9);
    // A killed switch has no time to remove its socket; the next one of its name does.
    expect(left).toMatchObject(NOTHING_LEFT);
  });
});
