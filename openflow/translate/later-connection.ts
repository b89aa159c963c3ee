/** What one connection of OpenFlow 1.4 or 1.5 remembers, and how its messages go through the version's tables. */
import type { ErrorNamer } from '../errors.ts';
import type { Message, MessageInit, MessageOf } from '../index.ts';
import { EncodeError, MultipartFlag, OpenFlowError } from '../index.ts';
import { fitError } from '../v14/errors.ts';
import type { WireVersion } from '../version-name.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { AsyncConfig } from './later-async.ts';
import type { tableDescFrom13 } from './later-tables.ts';
import { Remembered } from './remembered.ts';
import { encodeInParts } from './shared.ts';
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

/** A multipart message as far as it takes to divide it. */
interface Divisible extends Tagged {
  readonly flags?: number;
  readonly body?: { readonly [field: string]: unknown };
}

/** Encodes a message; a multipart reply that is longer than in 1.3, and too long, in several parts. */
function encodeParts<I extends Tagged>(encode: (message: I) => Uint8Array, message: I): Uint8Array[] {
  try {
    return [encode(message)];
  } catch (error) {
    const { type, flags = 0, body }: Divisible = message;
    const [name, list] = Object.entries(body ?? {}).find(([, value]) => Array.isArray(value)) ?? [];
    const divisible = type === 'multipart_reply' && name !== undefined && Array.isArray(list);
    if (!divisible || !(error instanceof EncodeError) || error.code !== 'FC_OF_TOO_LONG') throw error;
    return encodeInParts(list.length, (flags & MultipartFlag.MORE) !== 0, (start, end, more) =>
      encode({ ...message, flags: more, body: { ...body, [name]: list.slice(start, end) } }),
    );
  }
}

/** A version's codec, and tables of how its messages differ from those of 1.3. */
export interface Later<M extends Tagged, I extends Tagged> {
  readonly version: WireVersion;
  /** Names its errors. */
  readonly errorName: ErrorNamer;
  readonly codec: { decode(bytes: Uint8Array): M; encode(message: I): Uint8Array };
  to13(connection: Connection): Translation<M, Message, Message | Message[]>;
  from13(connection: Connection): Translation<MessageInit, I, I | I[]>;
}

export function laterDialect<M extends Tagged, I extends Tagged>(
  { version, errorName, codec, to13, from13 }: Later<M, I>,
  context: DialectContext | undefined,
): Dialect {
  const parts = (message: I): Uint8Array[] => encodeParts(codec.encode, message);
  const connection: Connection = {
    version,
    device: context !== undefined,
    asked: new Remembered(),
    async: new AsyncConfig(),
    decode(bytes) {
      try {
        const messages = translate(down, codec.decode(bytes));
        return Array.isArray(messages) ? messages : [messages];
      } catch (error) {
        if (!(error instanceof OpenFlowError)) throw error;
        throw new OpenFlowError(...fitError(error.errorType, error.errorCode), error.text, errorName);
      }
    },
    encode(message) {
      const messages = translate(up, message);
      return Array.isArray(messages) ? messages.flatMap(parts) : parts(messages);
    },
  };
  const down = to13(connection);
  const up = from13(connection);
  return connection;
}
