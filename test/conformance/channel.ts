/** Requests to the target as the checks need them: every answer or a reason why there is none. */
import {
  errorName,
  FlowModCommand,
  Group,
  GroupModCommand,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  type MessageType,
  Meter,
  MeterModCommand,
  MultipartFlag,
  Table,
  type TableStats,
} from '../../openflow/index.ts';
import type { Peer } from '../support/agent-lab.ts';
import type { Mod } from './messages.ts';
import { type GroupDesc, type MeterConfig, sameFlow, sameGroup, sameMeter } from './same.ts';

/** Why a case does not pass. */
export class Failure extends Error {}

/** The target did not answer at all, or hung up: it cannot be used as it is. */
export class TargetLost extends Failure {}

type RequestBody = MessageInitOf<'multipart_request'>['body'];
type ReplyBody<T extends string> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;

/** Mods have transaction ids of their own, apart from those that Peer.call counts up. */
const FIRST_MOD_XID = 0x10000000;

export class Channel {
  readonly peer: Peer;
  #xid = FIRST_MOD_XID;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  /** Empties the target. Meters and groups that it does not know need no deleting: such errors do not count. */
  async clear(): Promise<void> {
    this.peer.received.length = 0;
    this.#send({ type: 'meter_mod', command: MeterModCommand.DELETE, meter_id: Meter.ALL });
    this.#send({ type: 'group_mod', command: GroupModCommand.DELETE, group_id: Group.ALL });
    const xid = this.#send({ type: 'flow_mod', command: FlowModCommand.DELETE, table_id: Table.ALL });
    await this.#barrier();
    this.#refused(xid, 'deleting all flow entries');
    this.peer.received.length = 0;
  }

  /** Sends it, and checks that the target's statistics show it. */
  async install(mod: Mod): Promise<void> {
    const xid = this.#send(mod);
    await this.#barrier();
    this.#refused(xid, `${mod.type}`);
    if (!(await this.#shows(mod))) throw new Failure(`${mod.type}: the statistics do not show what was sent`);
  }

  /** Look-ups and matches so far, by table. */
  async tables(): Promise<Map<number, TableStats>> {
    const replies = await this.#multipart('table', { type: 'table' });
    return new Map(replies.flatMap(({ tables }) => tables).map((one) => [one.table_id, one]));
  }

  async #shows(mod: Mod): Promise<boolean> {
    switch (mod.type) {
      case 'flow_mod': {
        const replies = await this.#multipart('flow', { type: 'flow' });
        return replies.some(({ flows }) => flows.some((one) => sameFlow(one, mod)));
      }
      case 'group_mod': {
        const replies = await this.#multipart('group_desc', { type: 'group_desc' });
        return replies.some(({ groups }) => groups.some((one: GroupDesc) => sameGroup(one, mod)));
      }
      case 'meter_mod': {
        const replies = await this.#multipart('meter_config', { type: 'meter_config' });
        return replies.some(({ meters }) => meters.some((one: MeterConfig) => sameMeter(one, mod)));
      }
    }
  }

  #send(message: MessageInit): number {
    const xid = this.#xid++;
    this.peer.send({ ...message, xid });
    return xid;
  }

  #refused(xid: number, what: string): void {
    const error = this.peer.received.find((message) => message.type === 'error' && message.xid === xid);
    if (error?.type === 'error') throw new Failure(`${what}: ${errorText(error)}`);
  }

  async #barrier(): Promise<void> {
    await this.#call('barrier_reply', { type: 'barrier_request' });
  }

  async #multipart<T extends ReplyBody<string>['type']>(type: T, body: RequestBody): Promise<ReplyBody<T>[]> {
    const bodies: ReplyBody<T>[] = [];
    let reply = await this.#call('multipart_reply', { type: 'multipart_request', body });
    for (;;) {
      if (reply.body.type !== type) throw new Failure(`asked for ${type}, got ${reply.body.type}`);
      bodies.push(reply.body as ReplyBody<T>);
      if ((reply.flags & MultipartFlag.MORE) === 0) return bodies;
      const { xid } = reply;
      reply = await this.peer.next('multipart_reply', (message) => message.xid === xid);
    }
  }

  async #call<T extends MessageType>(type: T, request: MessageInit): Promise<MessageOf<T>> {
    const { socket } = this.peer;
    let closed: () => void = () => undefined;
    const end = new Promise<never>((_, reject) => {
      closed = () => reject(new TargetLost('the target hung up'));
      socket.once('close', closed);
    });
    if (!this.peer.open) throw new TargetLost('the target hung up');
    try {
      return await Promise.race([this.peer.call(type, request), end]);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const answer = (error as { answer?: Message }).answer;
      if (answer?.type === 'error') throw new Failure(`${request.type}: ${errorText(answer)}`);
      throw new TargetLost(`no ${type} came`);
    } finally {
      socket.off('close', closed);
    }
  }
}

export function errorText({ error_type, code }: MessageOf<'error'>): string {
  return errorName(error_type, code);
}
