/** Controller role and which asynchronous messages it gets (OpenFlow 1.3, sections 6.3.6, 7.3.9 and 7.3.10). */
import { ControllerRole, ErrorType, OpenFlowError, RoleRequestFailedCode } from '../../openflow/index.ts';

/** Bits `1 << reason`: [master and equal, slave]. */
export type AsyncMask = [number, number];

export interface AsyncMasks {
  packet_in_mask: AsyncMask;
  port_status_mask: AsyncMask;
  flow_removed_mask: AsyncMask;
}

/** All reasons for master and equal; a slave gets port status only. */
const DEFAULT_MASKS: AsyncMasks = {
  packet_in_mask: [0x7, 0],
  port_status_mask: [0x7, 0x7],
  flow_removed_mask: [0xf, 0],
};

export class Role {
  masks: AsyncMasks = DEFAULT_MASKS;
  #role: number = ControllerRole.EQUAL;
  /** Outlives connections: it orders the elections of controllers. */
  #generation: bigint | undefined;

  get isSlave(): boolean {
    return this.#role === ControllerRole.SLAVE;
  }

  /** A new connection begins as equal. */
  reset(): void {
    this.#role = ControllerRole.EQUAL;
    this.masks = DEFAULT_MASKS;
  }

  /** Returns the role and generation to answer with. Throws OpenFlowError ROLE_REQUEST_FAILED. */
  request(role: number, generation: bigint): { role: number; generation_id: bigint } {
    if (role > ControllerRole.SLAVE) {
      throw new OpenFlowError(
        ErrorType.ROLE_REQUEST_FAILED,
        RoleRequestFailedCode.BAD_ROLE,
        `no role ${role}`,
      );
    }
    if (role === ControllerRole.MASTER || role === ControllerRole.SLAVE) {
      // Signed distance in a 64-bit circle.
      if (this.#generation !== undefined && BigInt.asIntN(64, generation - this.#generation) < 0n) {
        throw new OpenFlowError(
          ErrorType.ROLE_REQUEST_FAILED,
          RoleRequestFailedCode.STALE,
          `generation ${generation} is older than ${this.#generation}`,
        );
      }
      this.#generation = generation;
    }
    if (role !== ControllerRole.NOCHANGE) this.#role = role;
    // Without a generation so far the answer is the largest value, as the specification says.
    return { role: this.#role, generation_id: this.#generation ?? 0xffffffffffffffffn };
  }

  wants(kind: keyof AsyncMasks, reason: number): boolean {
    return (this.masks[kind][this.isSlave ? 1 : 0] & (1 << reason)) !== 0;
  }
}
