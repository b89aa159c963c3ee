/** mininet/flowcell.py: its arguments, Mininet's own options and links, and how it is installed. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../mininet/run.ts';
import { hasCommand } from '../support/environment.ts';
import { inMininet, MININET_SCRIPTS, NOTHING_LEFT, PYTHON } from '../support/mininet.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const CLEAN = { exit: 0, ...NOTHING_LEFT };
const MN = ['mn', '--custom', 'mininet/flowcell.py'];

const script = (name: string) =>
  inMininet([PYTHON, join(MININET_SCRIPTS, 'script.py'), name], {
    env: { PYTHONPATH: join(root, 'mininet') },
  });

/** Builds packages without asking anybody: Debian's pip, setuptools and wheel are enough. */
const canInstall = (): boolean => {
  try {
    execFileSync(PYTHON, ['-c', 'import setuptools, wheel, ensurepip, pip, venv'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stderr.write(
      'pip install is not tested: python3-pip, python3-venv or python3-wheel is missing.\n',
    );
    return false;
  }
};

describeNetwork('mininet/flowcell.py', ['mn'], () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fc-mininet-arguments-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What the prompt says to these commands, in a network of two hosts and a switch. */
  const prompt = async (name: string, commands: readonly string[], ...options: string[]) => {
    const file = join(folder, name);
    await writeFile(file, [...commands, ''].join('\n'));
    const argv = [...MN, ...options, '--topo', 'single,2', '--test', 'none', '--post', file];
    const { output, stderr, left } = await inMininet(argv);
    expect(left).toEqual(CLEAN);
    return output + stderr;
  };

  test.concurrent('without a controller packets pass all the same', async () => {
    const argv = [...MN, '--switch', 'flowcell', '--controller', 'none', '--topo', 'linear,2'];
    const { output, stderr, left } = await inMininet([...argv, '--test', 'pingall']);
    expect(output + stderr).toContain('Results: 0% dropped (2/2 received)');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('unless it is told to be secure', async () => {
    const options = ['--switch', 'flowcell,failMode=secure', '--controller', 'none'];
    const said = await prompt('secure', ['h1 ping -c1 -W1 h2', 'py s1.state()["fail_mode"]'], ...options);
    expect(said).toMatch(/100% packet loss[\s\S]*secure/);
  });

  test.concurrent('datapath id, tenant, protocols of switch and controller', async () => {
    const commands = [
      'h1 ping -c1 h2',
      'py s1.state()["datapath_id"], s1.state()["controllers"][0]["version"]',
      'py open("/proc/%d/status" % s1.state("/hosts")[0]["pid"]).read()',
    ];
    const said = await prompt(
      'arguments',
      commands,
      ...['--switch', 'flowcell,dpid=ab,tenant=3,protocols=OpenFlow10+OpenFlow13'],
      ...['--controller', 'flowcell,protocols=OpenFlow10+OpenFlow14'],
    );
    expect(said).toContain(' 0% packet loss');
    expect(said).toContain("('00000000000000ab', 1)");
    expect(said).toMatch(/Uid:\t64003\t/);
  });

  test.concurrent('the prompt: cells, rules and flows of all switches', async () => {
    const commands = ['h1 ping -c1 h2', 'sh flowcell cells', 'sh flowcell rules', 'sh flowcell flows'];
    const options = ['--switch', 'flowcell', '--controller', 'flowcell,granularity=five-tuple'];
    const said = await prompt('prompt', commands, ...options);
    const flow = '10\\.0\\.0\\.1.*10\\.0\\.0\\.2';
    const [cells, rules, flows] = ['CELL .*STATE', 'PRIORITY', 'TABLE'];
    expect(said).toMatch(new RegExp(`${cells}[^]*${flow}[^]*${rules}[^]*${flow}[^]*${flows}[^]*output`));
  });

  test.concurrent('--innamespace: each switch in a namespace of its own', async () => {
    const options = ['--switch', 'flowcell,connectTimeout=60', '--controller', 'flowcell'];
    const argv = [...MN, ...options, '--topo', 'linear,2'];
    const { output, stderr, left } = await inMininet([...argv, '--innamespace', '--test', 'pingall']);
    expect(output + stderr).toContain('Results: 0% dropped (2/2 received)');
    expect(output + stderr).not.toContain('it goes on without');
    expect(left).toEqual(CLEAN);
  });

  test.concurrent('a link with a bandwidth shapes what the switches send', async () => {
    const { output, stderr, left } = await script('shaped');
    expect(output, stderr).toBe('ok\nTrue True\nTrue True');
    expect(left).toEqual(CLEAN);
  });

  (hasCommand('osken-manager') ? test.concurrent : test.concurrent.skip)(
    "tables of Faucet's shape, on os-ken",
    async () => {
      const { output, stderr, left } = await script('faucet');
      expect(output, stderr).toBe('[True, True, True, True]\nTrue ok');
      expect(left).toEqual(CLEAN);
    },
  );

  test.concurrent('what was killed with -9 leaves nothing that mn -c does not remove', async () => {
    const { output, stderr, left } = await script('litter');
    expect(output, stderr).toBe('3 [] []');
    expect(left).toEqual(CLEAN);
  });

  (canInstall() ? test.concurrent : test.concurrent.skip)(
    'pip install ./mininet, and a script that imports it',
    async () => {
      // Built from a copy: setuptools leaves its folders beside what it builds.
      const source = join(folder, 'mininet');
      cpSync(join(root, 'mininet'), source, { recursive: true });
      const venv = join(folder, 'venv');
      await exec([PYTHON, '-m', 'venv', '--system-site-packages', venv]);
      const offline = ['--no-index', '--no-build-isolation', '--no-deps', '--disable-pip-version-check'];
      await exec([join(venv, 'bin/pip'), 'install', '--quiet', ...offline, source]);
      const code = `
from flowcell import FlowcellController, FlowcellSwitch, flowcellCommand
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
net = Mininet(topo=SingleSwitchTopo(2), switch=FlowcellSwitch, controller=FlowcellController)
net.start()
print(net.pingAll(), flowcellCommand())
net.stop()
`;
      const PATH = `${join(root, 'bin')}:${process.env.PATH}`;
      const { output, stderr, left } = await inMininet([join(venv, 'bin/python'), '-c', code], {
        env: { PATH },
      });
      expect(output, stderr).toBe(`0.0 ${join(root, 'bin/flowcell')}`);
      expect(left).toEqual(CLEAN);
    },
  );
});
