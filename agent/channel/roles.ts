/** Controller roles, and which asynchronous messages a controller gets (OpenFlow 1.3.5, sections 6.3.6, 7.3.9, 7.3.10). */
import {
  ControllerRole,
  ErrorType,
  OFP_VERSION,
  OpenFlowError,
  RoleRequestFailedCode,
} from '../../openflow/index.ts';

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

/** OpenFlow 1.4 has two reasons more: METER_DELETE and EVICTION. */
const LATER_MASKS: AsyncMasks = { ...DEFAULT_MASKS, flow_removed_mask: [0x3f, 0] };

/** One controller's standing. A new connection begins as equal. */
export class Role {
  current: number = ControllerRole.EQUAL;
  masks: AsyncMasks;

  /** `version`: wire version that the controller speaks. */
  constructor(version: number) {
    this.masks = version > OFP_VERSION ? LATER_MASKS : DEFAULT_MASKS;
  }

  get isSlave(): boolean {
    return this.current === ControllerRole.SLAVE;
  }

  get isMaster(): boolean {
    return this.current === ControllerRole.MASTER;
  }

  wants(kind: keyof AsyncMasks, reason: number): boolean {
    return (this.masks[kind][this.isSlave ? 1 : 0] & (1 << reason)) !== 0;
  }
}

/** What all controllers of the device share about roles: the generation, and that there is one master at most. */
export class Roles {
  /** Outlives connections: it orders the elections of controllers. */
  #generation: bigint | undefined;

  /** Without a generation so far the largest value, as the specification says. */
  get generation(): bigint {
    return this.#generation ?? 0xffffffffffffffffn;
  }

  /**
   * Gives `asker` a role. `generation` is undefined where the asker's version of OpenFlow has none. Returns those of
   * `others` that were master and are slaves now. Throws OpenFlowError ROLE_REQUEST_FAILED; then nothing has changed.
   */
  request(asker: Role, role: number, generation: bigint | undefined, others: Iterable<Role>): Role[] {
    if (role > ControllerRole.SLAVE) {
      throw roleError(RoleRequestFailedCode.BAD_ROLE, `no role ${role}`);
    }
    if (generation !== undefined && (role === ControllerRole.MASTER || role === ControllerRole.SLAVE)) {
      // Signed distance in a 64-bit circle.
      if (this.#generation !== undefined && BigInt.asIntN(64, generation - this.#generation) < 0n) {
        throw roleError(
          RoleRequestFailedCode.STALE,
          `generation ${generation} is older than ${this.#generation}`,
        );
      }
      this.#generation = generation;
    }
    if (role !== ControllerRole.NOCHANGE) asker.current = role;
    const demoted: Role[] = [];
    if (role !== ControllerRole.MASTER) return demoted;
    for (const other of others) {
      if (other === asker || !other.isMaster) continue;
      other.current = ControllerRole.SLAVE;
      demoted.push(other);
    }
    return demoted;
  }
}

const roleError = (code: number, text: string): OpenFlowError =>
  new OpenFlowError(ErrorType.ROLE_REQUEST_FAILED, code, text);
