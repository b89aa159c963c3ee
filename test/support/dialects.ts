/** The two ends of a connection in a version of OpenFlow, as agent and controller have them. */
import type { Message } from '../../openflow/index.ts';
import { createDialect, type Dialect } from '../../openflow/translate/index.ts';
import type { WireVersion } from '../../openflow/versions.ts';

export interface Ends {
  readonly device: Dialect;
  readonly controller: Dialect;
}

export const ends = (version: WireVersion): Ends => ({
  device: createDialect(version, { ports: () => [] }) as Dialect,
  controller: createDialect(version) as Dialect,
});

/** What the device is told when the controller sends these, one after the other. */
export const requested = ({ device, controller }: Ends, ...messages: readonly unknown[]): Message[] =>
  messages.flatMap((one) => controller.encode(one as Message)).flatMap((bytes) => device.decode(bytes));

/** What the controller is told when the device sends these, one after the other. */
export const answered = ({ device, controller }: Ends, ...messages: readonly unknown[]): Message[] =>
  messages.flatMap((one) => device.encode(one as Message)).flatMap((bytes) => controller.decode(bytes));

/** Types of messages by who sends them in a connection; where both may, they are in both. */
export const REQUESTS = new Set<string>([
  'hello',
  'error',
  'echo_request',
  'echo_reply',
  'experimenter',
  'features_request',
  'get_config_request',
  'set_config',
  'packet_out',
  'flow_mod',
  'group_mod',
  'port_mod',
  'multipart_request',
  'barrier_request',
  'queue_get_config_request',
  'role_request',
  'get_async_request',
  'set_async',
  'meter_mod',
  'dispatch_config',
  'dispatch_rule',
  'program',
  'cell_message',
]);
export const REPLIES = new Set<string>([
  'hello',
  'error',
  'echo_request',
  'echo_reply',
  'experimenter',
  'features_reply',
  'get_config_reply',
  'packet_in',
  'flow_removed',
  'port_status',
  'multipart_reply',
  'barrier_reply',
  'queue_get_config_reply',
  'role_reply',
  'get_async_reply',
  'dispatch_config',
  'dispatch_query',
  'cell_status',
  'program_reply',
]);
