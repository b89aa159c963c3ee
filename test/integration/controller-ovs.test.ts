/** Our controller and an Open vSwitch of its own, in one namespace, driving real packets between two hosts. */

import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { inside, OpenVSwitch, OVS_PROTOCOLS } from '../../bench/peers/open-vswitch.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { ping as pingFrom } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const PORT = 6653;

let net: Network<'s1', string>;
let folder: string;
let ovs: OpenVSwitch;
let controller: ChildProcess;

/** Starts `flowcell controller` beside the switch; resolves when it accepts devices. */
async function startController(): Promise<ChildProcess> {
  const argv = [join(root, 'bin/flowcell'), 'controller', '--port', String(PORT), '--run-dir', folder];
  const child = net.switches.s1.spawn([...argv, '--idle-timeout', '60'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout?.resume();
  let said = '';
  for await (const line of createInterface({ input: child.stderr! })) {
    said += `${line}\n`;
    if (line.includes('accepts devices')) {
      child.stderr!.resume();
      return child;
    }
  }
  throw new Error(`the controller did not start: ${said}`);
}

async function killController(signal: NodeJS.Signals): Promise<void> {
  const ended = once(controller, 'exit');
  controller.kill(signal);
  await ended;
}

/** GET on the controller's local socket. */
function local(
  path: string,
): Promise<{ datapaths: { openflow: string; flow_mode: boolean; ports: object[] }[] }> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(folder, `controller-${PORT}.sock`), path }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(JSON.parse(text));
    })
      .once('error', reject)
      .end();
  });
}

const connected = (openflow: string) =>
  vi.waitFor(
    async () => {
      expect((await local('/datapaths')).datapaths).toMatchObject([{ flow_mode: false, openflow }]);
    },
    { timeout: 40_000, interval: 50 },
  );

const ping = (count = 3) => pingFrom(net.hosts.h1, net.hosts.h2.ip, count);

describeNetwork(
  'an ordinary switch (Open vSwitch) under our controller',
  ['ovs-vswitchd', 'ethtool', 'ping'],
  () => {
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'flowcell-ctl-ovs-'));
      net = await singleSwitch(2);
      // Open vSwitch's user-space datapath sends checksums on as it gets them: partial.
      for (const host of [net.hosts.h1, net.hosts.h2]) {
        await host.exec(['ethtool', '-K', host.interface, 'tx', 'off']);
      }
      const node = net.switches.s1;
      ovs = new OpenVSwitch({ ...inside(node), folder, datapath: 'netdev', inactivityProbeMs: 2000 });
      await ovs.start();
      controller = await startController();
    });

    afterAll(async () => {
      if (controller !== undefined) await killController('SIGTERM');
      await ovs?.stop();
      await net?.close();
      if (folder !== undefined) await rm(folder, { recursive: true });
    });

    describe.each(OVS_PROTOCOLS)('over OpenFlow $openflow', ({ openflow, version, protocol }) => {
      // OpenFlow 1.0 has no masks for addresses: an entry for each.
      const reserved = `dl_dst=01:80:c2:00:00:0${version === 1 ? 'f ' : '0/ff:ff:ff:ff:ff:f0'}`;

      beforeAll(async () => {
        await ovs.connect(protocol, `tcp:127.0.0.1:${PORT}`);
        await connected(openflow);
      });

      afterAll(async () => {
        const { h1, h2 } = net.hosts;
        await h2.exec(['ip', 'link', 'set', 'dev', h2.interface, 'address', h2.mac]);
        await h1.exec(['ip', 'neigh', 'flush', 'all']);
      });

      test('is an ordinary switch to us, with its ports', async () => {
        const { datapaths } = await local('/datapaths');
        expect(datapaths).toMatchObject([{ flow_mode: false, openflow }]);
        // Two ports and the bridge's own.
        expect(datapaths[0].ports.length).toBe(3);
      });

      test('ping gets through, and leaves entries for both directions', async () => {
        const { stdout } = await ping();
        expect(stdout).toContain(' 0% packet loss');
        const flows = await ovs.flows(protocol);
        expect(flows).toMatch(new RegExp(`in_port=1.*dl_src=${net.hosts.h1.mac}.*actions=output:2`));
        expect(flows).toMatch(new RegExp(`in_port=2.*dl_src=${net.hosts.h2.mac}.*actions=output:1`));
        expect(flows).toContain(reserved);
      });

      test('a TCP transfer arrives whole', async () => {
        const bytes = randomBytes(8 << 20);
        await writeFile(join(folder, 'sent'), bytes);
        const node = join(root, 'bin/node');
        const receive = `require('net').createServer({}, s => s.pipe(require('fs').createWriteStream(process.argv[1])).on('finish', () => process.exit())).listen(7000, () => console.log('ready'))`;
        const send = `require('fs').createReadStream(process.argv[1]).pipe(require('net').connect(7000, process.argv[2]))`;
        const server = net.hosts.h2.spawn([node, '-e', receive, join(folder, 'received')], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const done = once(server, 'exit');
        await once(server.stdout!, 'data');
        await net.hosts.h1.exec([node, '-e', send, join(folder, 'sent'), net.hosts.h2.ip]);
        await done;
        const received = await readFile(join(folder, 'received'));
        const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
        expect(hash(received)).toBe(hash(bytes));
      });

      test('the controller killed: flows that have entries go on; started again: it takes over, new ones work', async () => {
        await ping(1);
        await killController('SIGKILL');
        expect((await ping()).stdout).toContain(' 0% packet loss');

        controller = await startController();
        await connected(openflow);
        expect((await ping()).stdout).toContain(' 0% packet loss');
        // A station nobody has heard of: flooding and learning work again.
        await net.hosts.h2.exec([
          'ip',
          'link',
          'set',
          'dev',
          net.hosts.h2.interface,
          'address',
          '02:00:00:00:00:99',
        ]);
        await net.hosts.h1.exec(['ip', 'neigh', 'flush', 'all']);
        expect((await ping(5)).stdout).toMatch(/ [1-9]\d* received/);
        await ping(1);
        expect(await ovs.flows(protocol)).toContain('dl_src=02:00:00:00:00:99');
      });

      test('an orderly stop leaves the local socket gone', async () => {
        await killController('SIGTERM');
        await expect(local('/status')).rejects.toThrow();
        controller = await startController();
        await connected(openflow);
      });
    });
  },
);
