/** How packets without a rule are treated: what DISPATCH_CONFIG asks for, brought into what this device can do. */
import { DispatchMiss, type MessageOf } from '../../openflow/index.ts';
import type { HoldLimits } from '../dispatcher/hold.ts';

export type DispatchConfig = Omit<MessageOf<'dispatch_config'>, 'type' | 'xid' | 'flags'>;

/** OXM basic fields of a flow unless the controller says otherwise: VLAN, MACs, 5-tuple, ARP addresses. */
const DEFAULT_FIELDS = [3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 22, 23, 26, 27];
export const DEFAULT_FIELD_BITS = DEFAULT_FIELDS.reduce((bits, field) => bits | (1n << BigInt(field)), 0n);
/** There are 40 basic fields. */
const ALL_FIELDS = (1n << 40n) - 1n;
/** Share of the frames that may be held, so that running flows always find some. */
const HELD_SHARE = 0.75;
/** A tenant may have this share of what is held, so that no tenant can take all. */
const TENANT_SHARE = 0.75;
const LEAST_TIMEOUT_MS = 50;
/** A few bursts of a socket. */
const RUNNING_FRAMES = 512;

export const defaultDispatchConfig = (frames: number): DispatchConfig => ({
  miss: DispatchMiss.DEFAULT_CELL,
  held_per_flow: 64,
  query_bytes: 128,
  query_timeout_ms: 2000,
  held_total: Math.floor(frames * HELD_SHARE),
  new_flows_per_sec: 0,
  fields: DEFAULT_FIELD_BITS,
});

/** Zero leaves a value at its default, except for new_flows_per_sec, where it means no limit. */
export const effectiveConfig = (wanted: DispatchConfig, frames: number): DispatchConfig => {
  const usual = defaultDispatchConfig(frames);
  const fields = wanted.fields & ALL_FIELDS;
  return {
    miss: wanted.miss,
    held_per_flow: wanted.held_per_flow || usual.held_per_flow,
    query_bytes: wanted.query_bytes || usual.query_bytes,
    query_timeout_ms: Math.max(LEAST_TIMEOUT_MS, wanted.query_timeout_ms || usual.query_timeout_ms),
    held_total: Math.min(wanted.held_total || usual.held_total, usual.held_total),
    new_flows_per_sec: wanted.new_flows_per_sec,
    fields: fields === 0n ? usual.fields : fields,
  };
};

export const holdLimits = (config: DispatchConfig): HoldLimits => ({
  perFlow: config.held_per_flow,
  perRunningFlow: Math.max(RUNNING_FRAMES, config.held_per_flow),
  perTenant: Math.max(1, Math.floor(config.held_total * TENANT_SHARE)),
  total: config.held_total,
});
