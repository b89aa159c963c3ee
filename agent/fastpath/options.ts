/** What the fast path is given, and how much of everything it may have. */
import type { Logger } from 'pino';
import type { CellRecord } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { OutputVerdict, PortSet } from '../dispatcher/output.ts';
import type { RuleTable } from '../dispatcher/rules.ts';
import type { Frame } from '../ports/frames.ts';
import type { Port } from '../ports/port.ts';

/** The kernel's maps and programs (maps.ts); tests have others. */
export interface Kernel {
  readonly size: number;
  insert(key: Uint8Array, index: number, entry: Uint8Array): void;
  remove(key: Uint8Array): void;
  packets(index: number): number;
  bytes(index: number): number;
  lastMs(index: number): number;
  /** Interface for copies of packets that the controller is to have; undefined: there can be none. */
  copiesTo(): number | undefined;
  /** Hands on all copies that have been made. */
  takeCopies(): void;
  /** Copies that there was no room for; 0 without an interface. */
  lostCopies(): number;
  close(): void;
}

/** Takes the copy of a packet that went by the entry of this number; the frame is the caller's again after that. */
export type CopySink = (index: number, frame: Frame) => void;

/** The network interface behind a port. */
export interface Wire {
  readonly index: number;
  readonly mtu: number;
}

export interface FastPathLimits {
  /** Flows in all, and of one tenant. */
  flows: number;
  perTenant: number;
  /** Tenants whose packets all go through their cells. */
  exceptTenants: readonly number[];
  /** Packets within `windowMs` that make a flow worth an entry. */
  threshold: number;
  windowMs: number;
  /** An entry that had no packets for so long is taken out, ms. */
  idleMs: number;
}

export const DEFAULT_FAST_PATH: FastPathLimits = {
  flows: 32_768,
  perTenant: 32_768,
  exceptTenants: [],
  threshold: 8,
  windowMs: 2000,
  idleMs: 10_000,
};

export interface FastPathOptions {
  readonly limits?: Partial<FastPathLimits>;
  readonly rules: RuleTable;
  readonly ports: PortSet;
  readonly clock: Clock;
  /** The cell that takes packets without a rule; undefined: none does. */
  readonly cellWithoutRule: () => CellRecord | undefined;
  mayUse(tenant: number, port: number): boolean;
  /** Undefined: packets of or for this port are not the kernel's. */
  wireOf(port: Port): Wire | undefined;
  /** Makes maps and programs and puts them at the ports. Throws BpfError or PortError. */
  open(flows: number, copied: CopySink): Kernel;
  /** Carries out a verdict: a packet-in about a packet that the kernel forwarded. */
  handle(cell: number, tenant: number, verdict: OutputVerdict): void;
  readonly logger: Logger;
}
