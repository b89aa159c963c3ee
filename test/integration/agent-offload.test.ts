/** Entries that rewrite what hosts with all their offloads on send: partial checksums, frames of many segments. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ActionInit, FlowModCommand, type Match, type MessageInitOf } from '../../openflow/index.ts';
import { FAST_PATHS, HOST, TRUNK, type TrunkLab, trunkLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const NODE = path.join(import.meta.dirname, '../../bin/node');
const TRAFFIC = path.join(import.meta.dirname, '../support/nat-traffic.ts');
const SERVER_PORT = 7001;
/** What the client knows the server by, and the server the client: addresses that neither of them has. */
const PUBLIC_PORT = 80;
const FAMILIES = {
  ipv4: { type: 0x0800, client: '10.0.0.1', server: '10.0.0.2', outside: '10.0.0.102', inside: '10.0.0.101' },
  ipv6: { type: 0x86dd, client: 'fd00::1', server: 'fd00::2', outside: 'fd00::102', inside: 'fd00::101' },
} as const;
const PROTOCOLS = { tcp: { number: 6, amount: 20_000_000 }, udp: { number: 17, amount: 50 } } as const;
/** Two tags more than a host's packets have. */
const TRUNK_MTU = 1508;

type Entry = Omit<MessageInitOf<'flow_mod'>, 'type'>;
const set = (name: string, value: unknown): ActionInit =>
  ({ type: 'set_field', field: { [name]: value } }) as unknown as ActionInit;
const out = (port: number): ActionInit => ({ type: 'output', port });
const entry = (match: Match, actions: ActionInit[]): Entry => ({
  match,
  instructions: [{ type: 'apply_actions', actions }],
});

/** Both addresses and the server's port, there and back. */
function nat(family: keyof typeof FAMILIES, protocol: keyof typeof PROTOCOLS): Entry[] {
  const { type: eth_type, client, server, outside, inside } = FAMILIES[family];
  const base = { eth_type, ip_proto: PROTOCOLS[protocol].number };
  return [
    entry({ ...base, in_port: HOST, [`${family}_dst`]: outside, [`${protocol}_dst`]: PUBLIC_PORT }, [
      set(`${family}_src`, inside),
      set(`${family}_dst`, server),
      set(`${protocol}_dst`, SERVER_PORT),
      out(TRUNK),
    ]),
    entry({ ...base, in_port: TRUNK, [`${family}_dst`]: inside, [`${protocol}_src`]: SERVER_PORT }, [
      set(`${protocol}_src`, PUBLIC_PORT),
      set(`${family}_dst`, client),
      set(`${family}_src`, outside),
      out(HOST),
    ]),
  ];
}

const pass: Entry[] = [entry({ in_port: HOST }, [out(TRUNK)]), entry({ in_port: TRUNK }, [out(HOST)])];
/** A tag, and a service tag around it, between the switches. */
const tagged: Entry[] = [
  entry({ in_port: HOST }, [
    { type: 'push_vlan', ethertype: 0x8100 },
    set('vlan_vid', 0x1000 | 5),
    { type: 'push_vlan', ethertype: 0x88a8 },
    set('vlan_vid', 0x1000 | 7),
    out(TRUNK),
  ]),
  entry({ in_port: TRUNK, vlan_vid: 0x1000 | 7 }, [{ type: 'pop_vlan' }, { type: 'pop_vlan' }, out(HOST)]),
];

describeNetwork('what hosts send with their offloads on', ['ping'], () => {
  describe.each(FAST_PATHS)('%s', (_mode, fastPath) => {
    let lab: TrunkLab;
    let server: ChildProcess;

    beforeAll(async () => {
      lab = await trunkLab(TRUNK_MTU, { fastPath });
      const { h1, h2 } = lab.net.hosts;
      const neighbours = { h1: ['outside', h2.mac], h2: ['inside', h1.mac] } as const;
      for (const host of [h1, h2]) {
        const [name, mac] = neighbours[host.name as 'h1' | 'h2'];
        await host.exec(['sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${host.interface}/disable_ipv6`]);
        const address = host === h1 ? FAMILIES.ipv6.client : FAMILIES.ipv6.server;
        await host.configure([
          `addr add ${address}/64 dev ${host.interface} nodad`,
          ...Object.values(FAMILIES).map(
            (family) => `neigh add ${family[name]} lladdr ${mac} dev ${host.interface}`,
          ),
        ]);
      }
      server = h2.spawn([NODE, TRAFFIC, 'serve', String(SERVER_PORT)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(server.stdout!, 'data');
    });
    afterAll(async () => {
      server?.kill();
      await lab?.stop();
    });

    const entries = async (first: Entry[], second: Entry[]) => {
      const all = { command: FlowModCommand.DELETE, table_id: 255 };
      await lab.peers[0].entries(all, ...first);
      await lab.peers[1].entries(all, ...second);
    };
    const send = async (protocol: keyof typeof PROTOCOLS, host: string, port: number) => {
      const amount = String(PROTOCOLS[protocol].amount);
      const { stdout } = await lab.net.hosts.h1.exec([NODE, TRAFFIC, protocol, host, String(port), amount]);
      return stdout.trim();
    };

    describe.each(['ipv4', 'ipv6'] as const)('%s', (family) => {
      test.each(['tcp', 'udp'] as const)('%s through rewritten addresses and ports', async (protocol) => {
        await entries(nat(family, protocol), pass);
        expect(await send(protocol, FAMILIES[family].outside, PUBLIC_PORT)).toBe('intact');
      });
    });

    test.each(['ipv4', 'ipv6'] as const)('%s under two VLAN tags', async (family) => {
      await entries(tagged, tagged);
      for (const protocol of ['tcp', 'udp'] as const) {
        expect(await send(protocol, FAMILIES[family].server, SERVER_PORT)).toBe('intact');
      }
      // Frames of many segments crossed the trunk as one: the hosts did not cut them.
      const stats = await lab.peers[0].call('multipart_reply', {
        type: 'multipart_request',
        body: { type: 'flow' },
      });
      const { flows } = stats.body as unknown as {
        flows: { packet_count: bigint; byte_count: bigint; match: Match }[];
      };
      const outbound = flows.find(({ match }) => match.in_port === HOST)!;
      expect(outbound.byte_count / outbound.packet_count).toBeGreaterThan(1514n);
    });
  });
});
