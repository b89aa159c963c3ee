/** Requests to the target as the checks need them: every answer or a reason why there is none. */
import { MultipartFlag, type TableStats } from '../../openflow/index.ts';
import type { Peer } from '../support/agent-lab.ts';
import type { AnyInit, AnyMessage, Mod, Of, Protocol, StatisticsType } from './protocol.ts';
import { shows } from './same.ts';

/** Why a case does not pass. */
export class Failure extends Error {}

/** The target did not answer at all, or hung up: it cannot be used as it is. */
export class TargetLost extends Failure {}

type AnyPeer = Peer<AnyMessage, AnyInit>;
type ReplyType = Protocol['statistics']['reply'];
type AnyBody = Of<ReplyType>['body'];
type Body<T extends StatisticsType> = Extract<AnyBody, { type: T }>;

/** The statistics that show what a message has installed. */
const SHOWN_BY = { flow_mod: 'flow', group_mod: 'group_desc', meter_mod: 'meter_config' } as const;

/** Mods have transaction ids of their own, apart from those that Peer.call counts up. */
const FIRST_MOD_XID = 0x10000000;

export class Channel {
  readonly peer: AnyPeer;
  readonly #protocol: Protocol;
  #xid = FIRST_MOD_XID;

  constructor(peer: AnyPeer, protocol: Protocol) {
    this.peer = peer;
    this.#protocol = protocol;
  }

  /** Empties the target. Meters and groups that it does not know need no deleting: such errors do not count. */
  async clear(): Promise<void> {
    this.peer.received.length = 0;
    let last = 0;
    for (const message of this.#protocol.emptying) last = this.#send(message);
    await this.#barrier();
    this.#refused(last, 'deleting all flow entries');
    this.peer.received.length = 0;
  }

  /** Sends it, and checks that the target's statistics show it. */
  async install(mod: Mod): Promise<void> {
    const xid = this.#send(mod as AnyInit);
    await this.#barrier();
    this.#refused(xid, `${mod.type}`);
    const bodies = await this.#statistics(SHOWN_BY[mod.type]);
    if (bodies.some((body) => shows(body, mod))) return;
    throw new Failure(`${mod.type}: the statistics do not show what was sent`);
  }

  /** Look-ups and matches so far, by table. */
  async tables(): Promise<Map<number, Pick<TableStats, 'lookup_count' | 'matched_count'>>> {
    const replies = await this.#statistics('table');
    return new Map(replies.flatMap(({ tables }) => tables).map((one) => [one.table_id, one] as const));
  }

  errorText(error: Of<'error'>): string {
    return this.#protocol.errorName(error);
  }

  #send(message: AnyInit): number {
    const xid = this.#xid++;
    this.peer.send({ ...message, xid });
    return xid;
  }

  #refused(xid: number, what: string): void {
    const error = this.peer.received.find((message) => message.type === 'error' && message.xid === xid);
    if (error?.type === 'error') throw new Failure(`${what}: ${this.errorText(error)}`);
  }

  async #barrier(): Promise<void> {
    await this.#call('barrier_reply', { type: 'barrier_request' });
  }

  async #statistics<T extends StatisticsType>(type: T): Promise<Body<T>[]> {
    const { request, reply: replyType } = this.#protocol.statistics;
    const bodies: Body<T>[] = [];
    let reply = await this.#call(replyType, { type: request, body: { type } } as AnyInit);
    for (;;) {
      if (reply.body.type !== type) throw new Failure(`asked for ${type}, got ${reply.body.type}`);
      bodies.push(reply.body as Body<T>);
      if ((reply.flags & MultipartFlag.MORE) === 0) return bodies;
      const { xid } = reply;
      reply = await this.peer.next(replyType, (message) => message.xid === xid);
    }
  }

  async #call<T extends AnyMessage['type']>(type: T, request: AnyInit): Promise<Of<T>> {
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
      const answer = (error as { answer?: AnyMessage }).answer;
      if (answer?.type === 'error') throw new Failure(`${request.type}: ${this.errorText(answer)}`);
      throw new TargetLost(`no ${type} came`);
    } finally {
      socket.off('close', closed);
    }
  }
}
