/**
 * Ports and queues: since OpenFlow 1.4 what only Ethernet has of them stands in properties. Other properties of what a
 * switch reports are left out: 1.3 has no place for them.
 */
import type { MessageInitOf, MessageOf, PortDesc, PortStats } from '../index.ts';
import type { In, Out } from '../schema/types.ts';
import type { port as port13, portStats as portStats13, queueStats as queueStats13 } from '../v13/structs.ts';
import type * as v14 from '../v14/index.ts';
import type { queueDesc, queueStats } from '../v14/structs.ts';
import type * as v15 from '../v15/index.ts';
import { onlyProperties, property } from './later-helpers.ts';
import { each } from './shared.ts';

type Bodies14 = v14.MessageOf<'multipart_reply'>['body'];
type Port14 = v14.MessageOf<'port_status'>['desc'];
type Port15 = v15.MessageOf<'port_status'>['desc'];
type PortStats14 = Extract<Bodies14, { type: 'port_stats' }>['ports'][number];

const NO_ETHERNET = { curr: 0, advertised: 0, supported: 0, peer: 0, curr_speed: 0, max_speed: 0 };
const NO_ETHERNET_STATS = { rx_frame_err: 0n, rx_over_err: 0n, rx_crc_err: 0n, collisions: 0n };

/** The values of a property of Ethernet, or those in place of it. */
function valuesOf<T extends object>(found: (T & { type: string }) | undefined, none: T): Omit<T, 'type'> {
  const { type: _, ...values } = found ?? { ...none, type: '' };
  return values as Omit<T, 'type'>;
}

export function portTo13({ properties, ...port }: Port14 | Port15): PortDesc {
  return {
    ...port,
    ...valuesOf(property<Port15['properties'][number], 'ethernet'>(properties, 'ethernet'), NO_ETHERNET),
  };
}

export const portFrom13 = (port: In<typeof port13>) => ({
  ...port,
  properties: [{ ...port, type: 'ethernet' as const }],
});

export function portStatsTo13({ properties, ...stats }: PortStats14): PortStats {
  return { ...stats, ...valuesOf(property(properties, 'ethernet'), NO_ETHERNET_STATS) };
}

export const portStatsFrom13 = (stats: In<typeof portStats13>) => ({
  ...stats,
  properties: [{ ...stats, type: 'ethernet' as const }],
});

/** @throws OpenFlowError BAD_PROPERTY for optical ports */
export function portModTo13(message: v14.MessageOf<'port_mod'>): MessageOf<'port_mod'> {
  const { properties, ...kept } = message;
  onlyProperties(properties, 'ethernet');
  return { ...kept, advertise: property(properties, 'ethernet')?.advertise ?? 0 };
}

/** No advertised features are no change, in all versions: then the property is left out. */
export const portModFrom13 = ({ advertise = 0, ...kept }: MessageInitOf<'port_mod'>) => ({
  ...kept,
  properties: advertise === 0 ? [] : [{ type: 'ethernet' as const, advertise }],
});

export function queueStatsTo13({
  properties: _,
  ...stats
}: Out<typeof queueStats>): Out<typeof queueStats13> {
  return stats;
}

type PacketQueue = MessageOf<'queue_get_config_reply'>['queues'][number];

/** Experimenter properties differ in form: they are left out, both ways. */
export const queueTo13 = ({ port_no, queue_id, properties }: Out<typeof queueDesc>): PacketQueue => ({
  port: port_no,
  queue_id,
  properties: properties.filter((one) => one.type !== 'experimenter'),
});

export const queueFrom13 = (
  queue: NonNullable<MessageInitOf<'queue_get_config_reply'>['queues']>[number],
): In<typeof queueDesc> => ({
  port_no: queue.port,
  queue_id: queue.queue_id,
  properties: each(queue.properties, (one) => one).filter((one) => one.type !== 'experimenter'),
});
