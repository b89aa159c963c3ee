/** Queues as OpenFlow describes and counts them. */
import {
  ErrorType,
  type MessageInitOf,
  OpenFlowError,
  Port as PortNumber,
  QueueOpFailedCode,
} from '../../openflow/index.ts';
import type { Port, PortQueue } from '../ports/port.ts';

/** OFPQ_ALL */
const ALL_QUEUES = 0xffffffff;
/** More would not fit into one message, which is all that OpenFlow 1.3 has for them. */
const MAX_CONFIGS = 1300;

type QueueConfig = NonNullable<MessageInitOf<'queue_get_config_reply'>['queues']>[number];
type QueueStats = Extract<MessageInitOf<'multipart_reply'>['body'], { type: 'queue' }>['queues'][number];

export interface PortSet {
  readonly list: readonly Port[];
  get(number: number): Port | undefined;
}

/** Throws QUEUE_OP_FAILED / BAD_PORT. */
const portsOf = (ports: PortSet, number: number): readonly Port[] => {
  if (number === PortNumber.ANY) return ports.list;
  const port = ports.get(number);
  if (port !== undefined) return [port];
  throw new OpenFlowError(ErrorType.QUEUE_OP_FAILED, QueueOpFailedCode.BAD_PORT, `no port ${number}`);
};

/** Bits per second in tenths of a percent of the port's speed; none where that is unknown. */
const property = (type: 'min_rate' | 'max_rate', rate: number, port: Port) => {
  const { speed } = port.medium;
  if (speed === 0 || rate === 0) return [];
  return [{ type, rate: Math.min(1000, Math.max(1, Math.round(rate / (speed * 1000)))) }];
};

const describeQueue = (port: Port, { id, minRate, maxRate }: PortQueue): QueueConfig => ({
  queue_id: id,
  port: port.number,
  properties: [...property('min_rate', minRate, port), ...property('max_rate', maxRate, port)],
});

const countQueue = (port: Port, queue: PortQueue, now: number): QueueStats => {
  const age = Math.max(0, now - queue.since);
  return {
    port_no: port.number,
    queue_id: queue.id,
    tx_bytes: queue.txBytes,
    tx_packets: queue.txPackets,
    tx_errors: BigInt(queue.drops),
    duration_sec: Math.floor(age / 1000),
    duration_nsec: Math.floor((age % 1000) * 1e6),
  };
};

/** For QUEUE_GET_CONFIG (section 7.3.6): of one port, or of all (OFPP_ANY). */
export const queueConfigs = (ports: PortSet, number: number): QueueConfig[] =>
  portsOf(ports, number)
    .flatMap((port) => port.queues().map((queue) => describeQueue(port, queue)))
    .slice(0, MAX_CONFIGS);

/** For queue statistics (section 7.3.5.8): of one queue or all (OFPQ_ALL). Throws QUEUE_OP_FAILED / BAD_PORT, BAD_QUEUE. */
export const queueStats = (ports: PortSet, number: number, id: number, now: number): QueueStats[] => {
  const found = portsOf(ports, number).flatMap((port) =>
    port
      .queues()
      .filter((queue) => id === ALL_QUEUES || queue.id === id)
      .map((queue) => countQueue(port, queue, now)),
  );
  if (found.length > 0 || id === ALL_QUEUES) return found;
  throw new OpenFlowError(ErrorType.QUEUE_OP_FAILED, QueueOpFailedCode.BAD_QUEUE, `no queue ${id}`);
};
