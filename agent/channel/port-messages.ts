/** Ports as OpenFlow describes and counts them. */
import { type PortDesc, PortFeatures, PortState, type PortStats } from '../../openflow/index.ts';
import type { Port } from '../ports/port.ts';

const FEATURE_BY_SPEED: Record<number, number> = {
  10: PortFeatures['10MB_FD'],
  100: PortFeatures['100MB_FD'],
  1000: PortFeatures['1GB_FD'],
  10000: PortFeatures['10GB_FD'],
  40000: PortFeatures['40GB_FD'],
  100000: PortFeatures['100GB_FD'],
  1000000: PortFeatures['1TB_FD'],
};

export const describePort = (port: Port): PortDesc => {
  const { link, speed } = port;
  const curr = speed === 0 ? 0 : (FEATURE_BY_SPEED[speed] ?? PortFeatures.OTHER) | PortFeatures.COPPER;
  const live = link.present && link.up && link.running;
  return {
    port_no: port.number,
    hw_addr: port.hardwareAddress,
    name: port.name,
    config: port.config,
    state: live ? PortState.LIVE : PortState.LINK_DOWN,
    curr,
    advertised: 0,
    supported: curr,
    peer: 0,
    // kbit/s
    curr_speed: speed * 1000,
    max_speed: speed * 1000,
  };
};

export const countPort = (port: Port, now: number): PortStats => {
  port.refreshCounters();
  const { counters } = port;
  const age = now - port.since;
  return {
    port_no: port.number,
    rx_packets: BigInt(counters.rxPackets),
    tx_packets: BigInt(counters.txPackets),
    rx_bytes: BigInt(counters.rxBytes),
    tx_bytes: BigInt(counters.txBytes),
    rx_dropped: BigInt(counters.rxDropped),
    tx_dropped: BigInt(counters.txDropped),
    rx_errors: BigInt(counters.rxErrors),
    tx_errors: BigInt(counters.txErrors),
    rx_frame_err: 0n,
    rx_over_err: 0n,
    rx_crc_err: 0n,
    collisions: 0n,
    duration_sec: Math.floor(age / 1000),
    duration_nsec: Math.floor((age % 1000) * 1e6),
  };
};
