import { expect, test } from 'vitest';
import { decode, FlowModCommand, Port } from '../../openflow/index.ts';
import { flowSetUp } from '../../sandbox/guest/openflow/warm-messages.ts';

const outputTo = (port: number) => [{ type: 'apply_actions', actions: [{ type: 'output', port }] }];

test('a warm-up sets up a TCP and a UDP flow, a cell of its own as a learning switch does, and asks for a barrier', () => {
  const flow = {
    type: 'flow_mod',
    command: FlowModCommand.ADD,
    instructions: outputTo(2),
  };
  expect(flowSetUp().map((bytes) => decode(bytes))).toMatchObject([
    { type: 'flow_mod', command: FlowModCommand.DELETE, table_id: 0xff },
    { ...flow, match: { in_port: 1, eth_type: 0x0800, ip_proto: 6, tcp_src: 1000, tcp_dst: 2000 } },
    { ...flow, match: { in_port: 1, eth_type: 0x0800, ip_proto: 17, udp_src: 1000, udp_dst: 2000 } },
    { ...flow, priority: 10, match: { in_port: 1, cell: 1 } },
    { ...flow, priority: 10, match: { in_port: 2, cell: 1 }, instructions: outputTo(1) },
    { ...flow, priority: 0, match: { cell: 1 }, instructions: outputTo(Port.CONTROLLER) },
    { type: 'barrier_request' },
  ]);
});
