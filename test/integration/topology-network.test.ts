import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { isLeftover, NETNS_DIR, Reaper, sweep } from '../../mininet/owner.ts';
import { exec } from '../../mininet/run.ts';
import { type Network, topology } from '../../mininet/topology.ts';
import { isRunning } from '../support/processes.ts';
import { describeNetwork } from '../support/suites.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function kept(net: Network): Network {
  cleanups.push(() => net.close());
  return net;
}

/** Until `what` holds; the kernel removes things a little after it was told to. */
async function until(what: () => boolean): Promise<void> {
  await expect.poll(what, { timeout: 30_000, interval: 10 }).toBe(true);
}

const namespaces = () => readdirSync(NETNS_DIR);
/** Of this process: others may come and go meanwhile. */
const ownNamespaces = () => namespaces().filter((name) => name.startsWith(`fc.${process.pid}.`));

describeNetwork('a network of namespaces', ['ping'], () => {
  test('hosts reach each other over their link, with the addresses they were given', async () => {
    const net = kept(
      await topology({
        switches: {},
        hosts: { h1: {}, h2: { mac: '02:00:00:00:00:77' } },
        links: [['h1', 'h2']],
      }),
    );
    await net.hosts.h1.exec(['ping', '-c1', '-W10', net.hosts.h2.ip]);
    const { stdout } = await net.hosts.h1.exec(['ip', 'neigh']);
    expect(stdout).toContain('02:00:00:00:00:77');
  });

  test('links are up when it is there, and without IPv6 no interface has an address of its own', async () => {
    const net = kept(await topology({ switches: { s1: {} }, hosts: { h1: {} }, links: [['h1', 's1']] }));
    const { stdout } = await net.switches.s1.exec(['ip', '-j', 'addr', 'show', 'dev', 's1-eth1']);
    const [port] = JSON.parse(stdout);
    expect(port.operstate).toBe('UP');
    expect(port.addr_info).toEqual([]);
  });

  test('a cable pulled takes the carrier from the other end, and gives it back', async () => {
    const net = kept(await topology({ switches: { s1: {} }, hosts: { h1: {} }, links: [['h1', 's1']] }));
    const flags = async () =>
      JSON.parse((await net.switches.s1.exec(['ip', '-j', 'link', 'show', 'dev', 's1-eth1'])).stdout)[0]
        .flags;
    expect(await flags()).toContain('LOWER_UP');
    await net.link('s1', 'h1').down();
    expect(await flags()).not.toContain('LOWER_UP');
    await net.link('s1', 'h1').up();
    expect(await flags()).toContain('LOWER_UP');
  });

  test('with static ARP a host knows the others before a packet was sent', async () => {
    const net = kept(
      await topology({ switches: {}, hosts: { h1: {}, h2: {} }, links: [['h1', 'h2']], staticArp: true }),
    );
    const { stdout } = await net.hosts.h1.exec(['ip', 'neigh']);
    expect(stdout).toMatch(/10\.0\.0\.2 .*02:00:00:00:00:02 PERMANENT/);
  });

  test('a failing program rejects with what it said', async () => {
    const net = kept(await topology({ switches: {}, hosts: { h1: {} }, links: [] }));
    await expect(net.hosts.h1.exec(['sh', '-c', 'echo oh no >&2; exit 3'])).rejects.toThrow(
      /exit code 3: oh no/,
    );
    await expect(net.hosts.h1.exec(['sleep', '100'], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'FC_COMMAND_TIMEOUT',
    });
  });

  test('close ends every process in it, and removes it', async () => {
    const net = kept(await topology({ switches: { s1: {} }, hosts: { h1: {} }, links: [['h1', 's1']] }));
    // One that we started, and one that it left behind in the namespace, deaf to SIGTERM.
    const child = net.hosts.h1.spawn(
      ['sh', '-c', 'trap "" TERM; setsid sleep 1000 & echo $!; exec sleep 1000'],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const [line] = await once(child.stdout!.setEncoding('utf8'), 'data');
    const names = net.nodes.map((node) => node.namespace);
    expect(namespaces()).toEqual(expect.arrayContaining(names));
    await net.close();
    expect(child.signalCode ?? child.exitCode).not.toBeNull();
    await until(() => !isRunning(Number(line)));
    expect(namespaces().filter((name) => names.includes(name))).toEqual([]);
  });

  test('an owner killed -9 leaves neither namespaces nor processes', async () => {
    const { owner, report } = await startOwner();
    expect(namespaces()).toEqual(expect.arrayContaining(report.namespaces));
    owner.kill('SIGKILL');
    await until(() => !namespaces().some((name) => report.namespaces.includes(name)));
    await until(() => !isRunning(report.child));
  });

  test('what is left when the reaper is killed too, the next network removes', async () => {
    const name = 'fc.4194304999.1.1.left';
    await exec(['ip', 'netns', 'add', name]);
    // Anybody's next network removes it, not only ours.
    expect(isLeftover(name)).toBe(true);
    await sweep();
    expect(namespaces()).not.toContain(name);
  });

  test('a reaper told of a namespace that never came to be does no harm', async () => {
    await new Reaper(['fc.1.1.1.never']).reap();
    expect(namespaces()).not.toContain('fc.1.1.1.never');
  });

  test('a network that cannot be made leaves nothing of itself', async () => {
    const before = ownNamespaces();
    await expect(
      topology({ switches: {}, hosts: { h1: { ip: '10.0.0.999/24' }, h2: {} }, links: [['h1', 'h2']] }),
    ).rejects.toThrow(/10\.0\.0\.999/);
    expect(ownNamespaces()).toEqual(before);
  });
});

/** Another process that makes a network with a program in it, and tells of both. */
async function startOwner(): Promise<{
  owner: ChildProcess;
  report: { namespaces: string[]; child: number };
}> {
  const root = join(import.meta.dirname, '../..');
  const script = `
    import { once } from 'node:events';
    import { topology } from '${root}/mininet/topology.ts';
    const net = await topology({ switches: {}, hosts: { h1: {}, h2: {} }, links: [['h1', 'h2']] });
    const child = net.hosts.h1.spawn(['sh', '-c', 'echo; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'ignore'] });
    // It is in the namespace, where the reaper looks.
    await once(child.stdout, 'data');
    console.log(JSON.stringify({ namespaces: net.nodes.map((node) => node.namespace), child: child.pid }));
  `;
  const owner = spawn(join(root, 'bin/node'), ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanups.push(async () => owner.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: owner.stdout! }), 'line');
  return { owner, report: JSON.parse(line) };
}
