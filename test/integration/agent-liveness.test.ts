import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GroupModCommand, GroupType, PortConfig, PortState } from '../../openflow/index.ts';
import { ethernet } from '../../packet/index.ts';
import { FAST_PATHS, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const output = (port: number) => ({ type: 'output' as const, port, max_len: 0xffff });

describeNetwork('fast failover', () => {
  describe.each(FAST_PATHS)('%s', (_name, fastPath) => {
    let lab: SwitchLab;
    let net: SwitchLab['net'];
    let agent: SwitchLab['agent'];
    let peer: SwitchLab['peer'];

    beforeAll(async () => {
      lab = await switchLab(3, { agent: { fastPath } });
      ({ net, agent, peer } = lab);
      peer.send({
        type: 'group_mod',
        command: GroupModCommand.ADD,
        group_type: GroupType.FF,
        group_id: 1,
        buckets: [2, 3].map((port) => ({ watch_port: port, actions: [output(port)] })),
      });
      await peer.call('barrier_reply', { type: 'barrier_request' });
    });
    afterAll(() => lab?.stop());

    type Ports = { txPackets: number }[];
    /** Sends a packet through the group; resolves with the ports it left by. */
    const through = async () => {
      const before = (await agent.local<Ports>('/ports')).map(({ txPackets }) => txPackets);
      const data = ethernet({ type: 0x88b5, payload: new Uint8Array(50) });
      // The second one says when the first is through.
      const actions = [[{ type: 'group' as const, group_id: 1 }], [output(1)]];
      peer.send(...actions.map((some) => ({ type: 'packet_out' as const, actions: some, data })));
      const ports = await agent.shows<Ports>('/ports', ([one]) => one.txPackets > before[0]);
      return ports.flatMap(({ txPackets }, i) => (i > 0 && txPackets > before[i] ? [i + 1] : []));
    };
    const configure = async (port_no: number, config: number) => {
      const request = { type: 'multipart_request', body: { type: 'port_desc' } } as const;
      const { body } = await peer.call('multipart_reply', request);
      const { hw_addr } = (body.type === 'port_desc' ? body.ports : [])[port_no - 1];
      peer.send({ type: 'port_mod', port_no, hw_addr, config, mask: PortConfig.PORT_DOWN });
      await peer.next('port_status', ({ desc }) => desc.port_no === port_no && desc.config === config);
    };
    const live = (port: number) =>
      peer.next('port_status', ({ desc }) => desc.port_no === port && desc.state === PortState.LIVE);

    test('the first live bucket: as links lose and regain their carrier, and ports are set down', async () => {
      expect(await through()).toEqual([2]);
      const link = net.link('h2', 's1');
      await link.down('a');
      await peer.next('port_status', ({ desc }) => desc.port_no === 2 && desc.state === PortState.LINK_DOWN);
      expect(await through()).toEqual([3]);
      await configure(3, PortConfig.PORT_DOWN);
      expect(await through()).toEqual([]);
      peer.received.length = 0;
      await link.up('a');
      await live(2);
      expect(await through()).toEqual([2]);
      await configure(2, PortConfig.PORT_DOWN);
      await configure(3, 0);
      if ((await agent.local<{ running: boolean }[]>('/ports'))[2].running === false) await live(3);
      expect(await through()).toEqual([3]);
    });
  });
});
