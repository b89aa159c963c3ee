/** Labels and backbone headers between two switches, around what the hosts' kernels send each other. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ended } from '../../mininet/topology.ts';
import { type ActionInit, FlowModCommand, type InstructionInit, type Match } from '../../openflow/index.ts';
import { FAST_PATHS, HOST, TRUNK, type TrunkLab, trunkLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

/** 1,500 bytes of IP and the larger of the headers. */
const TRUNK_MTU = 1518;
const BYTES = 4_000_000;

interface Rule {
  match: Match;
  instructions: InstructionInit[];
}
const rule = (match: Match, ...actions: ActionInit[]): Rule => ({
  match,
  instructions: [{ type: 'apply_actions', actions }],
});
const out = (port: number): ActionInit => ({ type: 'output', port });

/** Labels say what they carry; set-field meets the packet inside, whose TCP checksum the kernel left partial. */
const mpls: Rule[] = [0x0800, 0x0806].flatMap((ethertype, label) => [
  rule(
    { in_port: HOST, eth_type: ethertype },
    ...(ethertype === 0x0800 ? [{ type: 'dec_nw_ttl' } as const] : []),
    { type: 'push_mpls', ethertype: 0x8847 },
    { type: 'set_field', field: { mpls_label: label } },
    { type: 'push_mpls', ethertype: 0x8847 },
    out(TRUNK),
  ),
  rule(
    { in_port: TRUNK, eth_type: 0x8847, mpls_label: label, mpls_bos: 0 },
    { type: 'pop_mpls', ethertype: 0x8847 },
    { type: 'pop_mpls', ethertype },
    out(HOST),
  ),
]);

const pbb: Rule[] = [
  rule(
    { in_port: HOST },
    { type: 'push_pbb', ethertype: 0x88e7 },
    { type: 'set_field', field: { pbb_isid: 0x123456 } },
    { type: 'set_field', field: { eth_dst: '02:00:00:00:bb:02' } },
    out(TRUNK),
  ),
  rule({ in_port: TRUNK, eth_type: 0x88e7, pbb_isid: 0x123456 }, { type: 'pop_pbb' }, out(HOST)),
];

describeNetwork('tags between two switches', ['iperf3', 'ethtool'], () => {
  describe.each(FAST_PATHS)('%s', (_mode, fastPath) => {
    let lab: TrunkLab;

    beforeAll(async () => {
      lab = await trunkLab(TRUNK_MTU, { fastPath });
      // The kernel cuts no segments behind labels that it has not pushed itself.
      for (const host of Object.values(lab.net.hosts))
        await host.exec(['ethtool', '-K', host.interface, 'tso', 'off', 'gso', 'off']);
    });
    afterAll(() => lab?.stop());

    test.each([
      ['two labels', mpls],
      ['backbone headers', pbb],
    ])('TCP passes under %s', async (_, rules) => {
      const all = { command: FlowModCommand.DELETE, table_id: 255 };
      for (const peer of lab.peers) await peer.entries(all, ...rules);
      const { h1, h2 } = lab.net.hosts;
      const server = h2.spawn(['iperf3', '-s', '-1', '--forceflush'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(server.stdout!, 'data');
      const { stdout } = await h1.exec(['iperf3', '-J', '-c', h2.ip, '-n', String(BYTES)]);
      // The next server wants the same port.
      await ended(server);
      // Some is still in flight when all is written.
      expect(JSON.parse(stdout).end.sum_received.bytes).toBeGreaterThan(BYTES / 10);
    });
  });
});
