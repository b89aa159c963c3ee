/** Ports as OpenFlow describes and counts them. */
import { type PortDesc, PortFeatures, PortState, type PortStats } from '../../openflow/index.ts';
import type { Medium } from '../ports/medium.ts';
import type { Port } from '../ports/port.ts';

/** By Mbit/s: full duplex, half duplex. */
const FEATURES_BY_SPEED: Record<number, [full: number, half?: number]> = {
  10: [PortFeatures['10MB_FD'], PortFeatures['10MB_HD']],
  100: [PortFeatures['100MB_FD'], PortFeatures['100MB_HD']],
  1000: [PortFeatures['1GB_FD'], PortFeatures['1GB_HD']],
  10000: [PortFeatures['10GB_FD']],
  40000: [PortFeatures['40GB_FD']],
  100000: [PortFeatures['100GB_FD']],
  1000000: [PortFeatures['1TB_FD']],
};

/** SUPPORTED_* and ADVERTISED_* bits of Linux, the feature each is, and its Mbit/s. */
const LINUX_MODES: readonly (readonly [bits: number, feature: number, speed: number])[] = [
  [1 << 0, PortFeatures['10MB_HD'], 10],
  [1 << 1, PortFeatures['10MB_FD'], 10],
  [1 << 2, PortFeatures['100MB_HD'], 100],
  [1 << 3, PortFeatures['100MB_FD'], 100],
  [1 << 4, PortFeatures['1GB_HD'], 1000],
  [(1 << 5) | (1 << 17), PortFeatures['1GB_FD'], 1000],
  [(1 << 12) | (7 << 18), PortFeatures['10GB_FD'], 10000],
  [15 << 23, PortFeatures['40GB_FD'], 40000],
  [1 << 6, PortFeatures.AUTONEG, 0],
  [1 << 7, PortFeatures.COPPER, 0],
  [1 << 10, PortFeatures.FIBER, 0],
  [1 << 13, PortFeatures.PAUSE, 0],
  [1 << 14, PortFeatures.PAUSE_ASYM, 0],
];

const features = (linux: number): number => {
  let found = 0;
  for (const [bits, feature] of LINUX_MODES) if (linux & bits) found |= feature;
  return found;
};

const currentFeatures = ({ speed, halfDuplex, fiber }: Medium): number => {
  if (speed === 0) return 0;
  const [full = PortFeatures.OTHER, half = PortFeatures.OTHER] = FEATURES_BY_SPEED[speed] ?? [];
  return (halfDuplex ? half : full) | (fiber ? PortFeatures.FIBER : PortFeatures.COPPER);
};

/** What a port advertises to the other end of its link: OFPPF bits. */
export const advertisedFeatures = (port: Port): number => features(port.medium.advertised);

export const describePort = (port: Port): PortDesc => {
  const { link, medium } = port;
  const curr = currentFeatures(medium);
  const live = link.present && link.up && link.running;
  const fastest = Math.max(
    medium.speed,
    ...LINUX_MODES.map(([bits, , speed]) => (medium.supported & bits ? speed : 0)),
  );
  return {
    port_no: port.number,
    hw_addr: port.hardwareAddress,
    name: port.name,
    config: port.config,
    state: live ? PortState.LIVE : PortState.LINK_DOWN,
    curr,
    advertised: advertisedFeatures(port),
    supported: features(medium.supported) || curr,
    peer: features(medium.peer),
    // kbit/s
    curr_speed: medium.speed * 1000,
    max_speed: fastest * 1000,
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
