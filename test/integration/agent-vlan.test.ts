import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ActionInit, Port } from '../../openflow/index.ts';
import { ethernet, ipv4, udp, vlan } from '../../packet/index.ts';
import { FAST_PATHS, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const plain = ethernet({
  type: 0x0800,
  payload: ipv4({ proto: 17, payload: udp({ payload: new Uint8Array(300).fill(7) }) }),
});
const tagged = vlan(plain, { vid: 42, pcp: 5 });
const doubly = vlan(tagged, { vid: 7, tpid: 0x88a8 });

const toController: ActionInit = { type: 'output', port: Port.CONTROLLER, max_len: 0xffff };

describeNetwork('VLAN tags, which the kernel takes out of the packets it hands over', ['trafgen'], () => {
  describe.each(FAST_PATHS)('%s', (_mode, fastPath) => {
    let lab: SwitchLab;
    let net: SwitchLab['net'];
    let peer: SwitchLab['peer'];
    const folder = mkdtempSync(path.join(tmpdir(), 'agt-'));

    beforeAll(async () => {
      lab = await switchLab(2, { agent: { fastPath } });
      ({ net, peer } = lab);
    });
    afterAll(async () => {
      await lab?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const inject = async (host: 'h1' | 'h2', frame: Uint8Array) => {
      const file = path.join(folder, 'frame');
      writeFileSync(file, `{ ${[...frame].join(', ')} }`);
      const { [host]: node } = net.hosts;
      await node.exec(['trafgen', '-o', node.interface, '-c', file, '-n', '1', '-P', '1', '-q']);
    };
    const apply = (...actions: ActionInit[]) =>
      peer.entries({ instructions: [{ type: 'apply_actions', actions }] });

    test.each([
      ['none', plain],
      ['one', tagged],
      ['two, the outer a service tag', doubly],
    ])('%s: the packet is as it was sent', async (_name, frame) => {
      await apply(toController);
      await inject('h1', frame);
      const { data } = await peer.next('packet_in', ({ match }) => match.in_port === 1);
      expect(data).toEqual(frame);
    });

    test('tags are popped and pushed', async () => {
      await apply({ type: 'pop_vlan' }, toController);
      await inject('h1', tagged);
      expect((await peer.next('packet_in')).data).toEqual(plain);
      const field = { vlan_vid: 0x1000 | 42 };
      await apply(
        { type: 'push_vlan', ethertype: 0x8100 },
        { type: 'set_field', field },
        { type: 'set_field', field: { vlan_pcp: 5 } },
        toController,
      );
      await inject('h2', plain);
      expect((await peer.next('packet_in')).data).toEqual(tagged);
    });
  });
});
