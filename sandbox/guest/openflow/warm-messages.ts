/** What a cell of the `openflow` program is warmed up with. */
import { encode } from '../../../openflow/index.ts';

const ETHER = {
  in_port: 1,
  eth_src: '02:00:00:00:00:01',
  eth_dst: '02:00:00:00:00:02',
  vlan_vid: 0,
  eth_type: 0x0800,
} as const;
const HOSTS = { ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2' } as const;

/** FLOW_MODs as a learning switch sends them for a new flow, and a barrier; first the old ones are deleted. */
export function flowSetUp(round: number): Uint8Array[] {
  const first = round * 4;
  const instructions = [{ type: 'apply_actions', actions: [{ type: 'output', port: 2 }] }] as const;
  const entry = { type: 'flow_mod', priority: 100, idle_timeout: 60 } as const;
  const tcpMatch = { ...ETHER, ip_proto: 6, ...HOSTS, tcp_src: 1000, tcp_dst: 2000 };
  const udpMatch = { ...ETHER, ip_proto: 17, ...HOSTS, udp_src: 1000, udp_dst: 2000 };
  return [
    encode({ type: 'flow_mod', xid: first, command: 3, table_id: 0xff }),
    encode({ ...entry, xid: first + 1, match: tcpMatch, instructions: [...instructions] }),
    encode({ ...entry, xid: first + 2, match: udpMatch, instructions: [...instructions] }),
    encode({ type: 'barrier_request', xid: first + 3 }),
  ];
}
