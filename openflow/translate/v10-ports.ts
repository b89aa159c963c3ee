/** Ports of OpenFlow 1.0 (16-bit numbers, ofp_phy_port) and of 1.3. */
import type { PortDesc } from '../index.ts';
import * as v10 from '../v10/index.ts';
import * as v13 from '../v13/constants.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { cannotSay } from './shared.ts';

/** Reserved numbers are the highest of 16 and of 32 bits. */
const RESERVED_OFFSET = 0xffff0000;

/** OFPP_NONE of 1.0 becomes ANY. */
export const port32 = (port: number): number => (port < v10.Port.MAX ? port : port + RESERVED_OFFSET);

/** Undefined: a number that 1.0 has not. */
export function port16(port: number): number | undefined {
  if (port < v10.Port.MAX) return port;
  return port >= v13.Port.MAX ? port - RESERVED_OFFSET : undefined;
}

/** As port16. @throws OpenFlowError of the type and code for a number that 1.0 has not */
export function port16Of(
  port: number,
  error: readonly [number, number] = [ErrorType.BAD_REQUEST, BadRequestCode.BAD_PORT],
): number {
  const number = port16(port);
  if (number === undefined) throw cannotSay(v10.OFP_VERSION, `port ${port}`, error);
  return number;
}

const { NO_FLOOD } = v10.PortConfig;
const { PORT_DOWN, NO_RECV, NO_FWD, NO_PACKET_IN } = v13.PortConfig;
const SHARED_CONFIG = PORT_DOWN | NO_RECV | NO_FWD | NO_PACKET_IN;

/**
 * Bits of ofp_port_config that a switch without 802.1D acts on. Those of the spanning tree (NO_STP, NO_RECV_STP) change
 * nothing in one; NO_FLOOD is left in its place, for the device to take or to refuse.
 */
export const portConfig = (config: number): number => config & (SHARED_CONFIG | NO_FLOOD);

const SPEEDS = 0x7f;
const MEDIA = 0xf80;
/** 40 Gbit/s and above, and OTHER, have the bits in between in 1.3. */
const MEDIA_SHIFT = 4;
const features10 = (bits = 0): number => (bits & SPEEDS) | ((bits >>> MEDIA_SHIFT) & MEDIA);
const features13 = (bits: number): number => (bits & SPEEDS) | ((bits & MEDIA) << MEDIA_SHIFT);

/** By bit of the features, kbit/s. */
const KBPS = [10e3, 10e3, 100e3, 100e3, 1e6, 1e6, 10e6];

/** The fastest of the modes, kbit/s; 0: none. */
const speedOf = (features: number): number =>
  KBPS.reduce((best, speed, bit) => (features & (1 << bit) ? speed : best), 0);

/** Undefined: the port has a number that 1.0 has not. */
export function portTo10(port: Partial<PortDesc> & { port_no: number }): v10.PortDesc | undefined {
  const port_no = port16(port.port_no);
  if (port_no === undefined) return undefined;
  const { state = 0 } = port;
  return {
    port_no,
    hw_addr: port.hw_addr ?? '00:00:00:00:00:00',
    name: port.name ?? '',
    config: portConfig(port.config ?? 0),
    state:
      (state & v13.PortState.LINK_DOWN ? v10.PortState.LINK_DOWN : 0) |
      (state & v13.PortState.BLOCKED ? v10.PortState.STP_BLOCK : 0),
    curr: features10(port.curr),
    advertised: features10(port.advertised),
    supported: features10(port.supported),
    peer: features10(port.peer),
  };
}

/** Speeds and the LIVE bit, which 1.0 does not have, follow from the features and the state. */
export function portFrom10(port: v10.PortDesc): PortDesc {
  const config = port.config & SHARED_CONFIG;
  const down = (port.state & v10.PortState.LINK_DOWN) !== 0;
  const blocked = (port.state & v10.PortState.STP_MASK) === v10.PortState.STP_BLOCK;
  const live = !down && !blocked && (config & PORT_DOWN) === 0;
  return {
    port_no: port32(port.port_no),
    hw_addr: port.hw_addr,
    name: port.name,
    config,
    state:
      (down ? v13.PortState.LINK_DOWN : 0) |
      (blocked ? v13.PortState.BLOCKED : 0) |
      (live ? v13.PortState.LIVE : 0),
    curr: features13(port.curr),
    advertised: features13(port.advertised),
    supported: features13(port.supported),
    peer: features13(port.peer),
    curr_speed: speedOf(port.curr),
    max_speed: speedOf(port.supported),
  };
}

/** Features bits of a port_mod's `advertise`. */
export { features10, features13 };
