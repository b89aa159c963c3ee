/** What one connection of OpenFlow 1.4 or 1.5 remembers, and how its messages go through the version's tables. */
import type { Message, MessageInit, MessageOf } from '../index.ts';
import type { WireVersion } from '../versions.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { AsyncConfig } from './later-async.ts';
import type { tableDescFrom13 } from './later-tables.ts';
import { Remembered } from './remembered.ts';
import { type Translation, translate } from './table.ts';

/** A request whose answer has another form in 1.3, or on fewer conditions. */
export type Asked =
  | { readonly kind: 'table_desc'; readonly tables: ReturnType<typeof tableDescFrom13>[] }
  | { readonly kind: 'queue_desc'; readonly queue_id: number }
  | {
      readonly kind: 'queue_config';
      readonly port: number;
      readonly queues: MessageOf<'queue_get_config_reply'>['queues'];
    }
  | { readonly kind: 'port_desc'; readonly port_no: number }
  | { readonly kind: 'group_desc'; readonly group_id: number }
  | { readonly kind: 'flow_stats' };

export interface Connection extends Dialect {
  /** The device's end, which answers requests; otherwise the controller's. */
  readonly device: boolean;
  readonly asked: Remembered<Asked>;
  readonly async: AsyncConfig;
}

interface Tagged {
  readonly type: string;
}

/** A version's codec, and tables of how its messages differ from those of 1.3. */
export interface Later<M extends Tagged, I extends Tagged> {
  readonly version: WireVersion;
  readonly codec: { decode(bytes: Uint8Array): M; encode(message: I): Uint8Array };
  to13(connection: Connection): Translation<M, Message, Message | Message[]>;
  from13(connection: Connection): Translation<MessageInit, I, I | I[]>;
}

export function laterDialect<M extends Tagged, I extends Tagged>(
  { version, codec, to13, from13 }: Later<M, I>,
  context: DialectContext | undefined,
): Dialect {
  const connection: Connection = {
    version,
    device: context !== undefined,
    asked: new Remembered(),
    async: new AsyncConfig(),
    decode(bytes) {
      const messages = translate(down, codec.decode(bytes));
      return Array.isArray(messages) ? messages : [messages];
    },
    encode(message) {
      const messages = translate(up, message);
      return Array.isArray(messages) ? messages.map(codec.encode) : [codec.encode(messages)];
    },
  };
  const down = to13(connection);
  const up = from13(connection);
  return connection;
}
