/** OpenFlow 1.0 and 1.3 side by side, for tests of the dialect. */

import * as v13 from '../../openflow/index.ts';
import { type Message, type MessageInit, OpenFlowError, type PortDesc } from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import * as v10 from '../../openflow/v10/index.ts';

export const port = (port_no: number, more: Partial<PortDesc> = {}): PortDesc => ({
  port_no,
  hw_addr: '02:00:00:00:00:01',
  name: `eth${port_no}`,
  config: 0,
  state: v13.PortState.LIVE,
  curr: v13.PortFeatures['10GB_FD'] | v13.PortFeatures.COPPER,
  advertised: 0,
  supported: v13.PortFeatures['1GB_FD'] | v13.PortFeatures.FIBER | v13.PortFeatures.PAUSE_ASYM,
  peer: 0,
  curr_speed: 10e6,
  max_speed: 1e6,
  ...more,
});
export const port10 = (port_no: number): v10.PortDesc => ({
  port_no,
  hw_addr: '02:00:00:00:00:01',
  name: `eth${port_no}`,
  config: 0,
  state: 0,
  curr: v10.PortFeatures['10GB_FD'] | v10.PortFeatures.COPPER,
  advertised: 0,
  supported: v10.PortFeatures['1GB_FD'] | v10.PortFeatures.FIBER | v10.PortFeatures.PAUSE_ASYM,
  peer: 0,
});

export const dialect = (ports: readonly PortDesc[] = [], more = {}) =>
  createDialect(1, { ports: () => ports, ...more }) as NonNullable<ReturnType<typeof createDialect>>;
export const from10 = (message: v10.MessageInit): Message[] => dialect().decode(v10.encode(message));
export const to10 = (message: MessageInit): v10.Message[] => dialect().encode(message).map(v10.decode);

/** type, code and sentence of what is refused. */
export function refused(action: () => unknown): OpenFlowError {
  try {
    action();
  } catch (error) {
    if (error instanceof OpenFlowError) return error;
    throw error;
  }
  throw new Error('not refused');
}

export const xid = 7;
export const data = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
export const mac = '02:00:00:00:00:01';
export const output10 = { type: 'output', port: 2, max_len: 0xffff } as const;
export const output13 = { type: 'output', port: 2, max_len: 0xffff } as const;
