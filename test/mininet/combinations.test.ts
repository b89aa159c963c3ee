/** Mininet with each combination of switches and controller, ours and others': every kind of traffic, and trouble. */
import { describe, expect, test } from 'vitest';
import { hasCommand } from '../support/environment.ts';
import { type Check, NOTHING_LEFT, scenario } from '../support/mininet.ts';
import { describeNetwork } from '../support/suites.ts';

const ANY: readonly Check[] = ['pingall', 'udp', 'ipv6', 'vlan', 'link', 'restart'];

/**
 * Open vSwitch's user-space datapath lets TCP fail where hosts leave checksums to their interfaces, as they do by default
 * (shared/facts.md): behind it they have to be told not to.
 */
const COMBINATIONS = [
  { switches: 'flowcell', controller: 'flowcell', tcp: 'tcp', many: 20, needs: [] },
  { switches: 'flowcell', controller: 'os-ken', tcp: 'tcp', many: 20, needs: ['osken-manager'] },
  // It is built for 16 switches at most.
  { switches: 'flowcell', controller: 'ovs', tcp: 'tcp', many: 16, needs: ['ovs-testcontroller'] },
  { switches: 'ovs', controller: 'flowcell', tcp: 'tcp_without_offload', many: 20, needs: ['ovs-vswitchd'] },
  {
    switches: 'mixed',
    controller: 'flowcell',
    tcp: 'tcp_without_offload',
    many: 20,
    needs: ['ovs-vswitchd'],
  },
] as const;

describeNetwork('in Mininet', ['mn'], () => {
  for (const { switches, controller, tcp, many, needs } of COMBINATIONS) {
    describe
      .skipIf(!needs.every(hasCommand))
      .concurrent(`${switches} switches, ${controller} controller`, () => {
        test('ping, TCP, UDP, IPv6, VLAN tags, a link that fails, a controller that starts again', async () => {
          const shape = { switches: 3, fanout: 1 };
          const { results, left, stderr } = await scenario(switches, controller, shape, [tcp, ...ANY]);
          expect(results, stderr).toEqual({
            pingall: [],
            [tcp]: 'ok',
            udp: 'ok',
            ipv6: true,
            vlan: 'ok',
            // Down: no answer; up again: an answer.
            link: [false, true],
            // Nothing lost meanwhile; new flows afterwards.
            restart: [0, 'ok'],
          });
          expect(left).toEqual({ exit: 0, ...NOTHING_LEFT });
        });

        test.each([
          ['a line', 1],
          ['a tree', 3],
        ])(`${many} switches in %s: every host reaches the next`, async (_, fanout) => {
          const shape = { switches: many, fanout };
          const { results, left, stderr } = await scenario(switches, controller, shape, ['ring']);
          expect(results, stderr).toEqual({ ring: [] });
          expect(left).toEqual({ exit: 0, ...NOTHING_LEFT });
        });
      });
  }
});
