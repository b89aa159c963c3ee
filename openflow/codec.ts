import { EncodeError, OpenFlowError } from './errors.ts';
import { DecoderCompiler } from './schema/decode.ts';
import type { PartEncoder } from './schema/encode.ts';
import { EncoderCompiler } from './schema/encode.ts';
import type { MessageDef, MessageDefs, MessageIn, MessageOut } from './schema/messages.ts';
import { OFPT_EXPERIMENTER } from './schema/messages.ts';
import { BadRequestCode, ErrorType } from './v13/errors.ts';

/** Longest OpenFlow message, bytes: what the 16-bit length field can say. */
export const MAX_MESSAGE = 65535;
/** Length of the OpenFlow header, bytes. */
export const HEADER_BYTES = 8;

/** Wire version in a message's header. */
export const messageVersion = (bytes: Uint8Array): number => bytes[0];
/** ofp_type in a message's header. */
export const messageType = (bytes: Uint8Array): number => bytes[1];
/** Length in a message's header, bytes, the header included. */
export const messageLength = (bytes: Uint8Array): number => (bytes[2] << 8) | bytes[3];
/** Transaction id in a message's header. */
export const messageXid = (bytes: Uint8Array): number =>
  ((bytes[4] << 24) | (bytes[5] << 16) | (bytes[6] << 8) | bytes[7]) >>> 0;

/** The codec of one OpenFlow version. */
export interface Codec<T> {
  readonly version: number;
  /**
   * Decodes one whole message. Byte fields (`data`) are views of `bytes`, not copies.
   * @throws OpenFlowError with the error type and code that the specification asks for
   */
  decode(bytes: Uint8Array): MessageOut<T>;
  /**
   * Encodes a message; fields that have a default may be left out. The result shares its ArrayBuffer with
   * other messages (as small Node Buffers do), so that must not be transferred.
   * @throws EncodeError naming the field that does not fit
   */
  encode(message: MessageIn<T>): Uint8Array;
  /**
   * Encodes into `target` at `offset` and returns the offset after the message. Where that is beyond
   * target.length, `target` was too short and what stands in it from `offset` on is of no use.
   * @throws EncodeError naming the field that does not fit
   */
  encodeInto(message: MessageIn<T>, target: Uint8Array, offset: number): number;
  /** Messages encoded from now on share no memory with earlier ones, of which the codec keeps nothing. */
  forget(): void;
}

/**
 * Encoded messages are pieces of slabs of this size: a buffer of its own for each costs several times as much
 * as encoding it.
 */
const SLAB_BYTES = 8192;

type Decoder = (bytes: Uint8Array) => unknown;

/**
 * Makes the codec of a version from its table of messages. Encoders and decoders are compiled one by one, at
 * the first use of a message.
 * @param open ids of experimenters of whose messages not all are declared: others are kept as bytes
 */
export function createCodec<const T extends MessageDefs>(
  version: number,
  table: T,
  Decoders = DecoderCompiler,
  Encoders = EncoderCompiler,
  open: readonly number[] = [],
): Codec<T> {
  const decoders = new Decoders([ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN]);
  const encoders = new Encoders();
  const byType: (Decoder | undefined)[] = [];
  const nameOfType: string[] = [];
  const extensions = new Map<number, Map<number, string>>();
  const extensionDecoders = new Map<string, Decoder>();
  const byName = new Map<string, PartEncoder>();
  let slab = new Uint8Array(0);
  let slabUsed = 0;

  for (const name in table) {
    const { tag, experimenter } = table[name];
    if (experimenter === undefined) {
      nameOfType[tag] = name;
    } else {
      const types = extensions.get(experimenter.id) ?? new Map<number, string>();
      extensions.set(experimenter.id, types.set(experimenter.type, name));
    }
  }

  /** The decoder for an experimenter message: that of the extension, or the general one. */
  function experimenterDecoder(bytes: Uint8Array): Decoder | undefined {
    if (bytes.length < 16) return undefined;
    const word = (at: number) =>
      ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
    const types = extensions.get(word(8));
    if (types === undefined) return undefined;
    const name = types.get(word(12));
    if (name === undefined) {
      if (open.includes(word(8))) return undefined;
      throw new OpenFlowError(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_EXP_TYPE,
        `experimenter 0x${word(8).toString(16)} has no message of type ${word(12)}`,
      );
    }
    let decoder = extensionDecoders.get(name);
    if (decoder === undefined) {
      decoder = decoders.message(name, table[name], 16);
      extensionDecoders.set(name, decoder);
    }
    return decoder;
  }

  function decode(bytes: Uint8Array): MessageOut<T> {
    if (bytes.length < HEADER_BYTES || messageLength(bytes) !== bytes.length) {
      throw new OpenFlowError(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_LEN,
        bytes.length < HEADER_BYTES
          ? `a message of ${bytes.length} bytes is shorter than its header`
          : `a message of ${bytes.length} bytes says that it has ${messageLength(bytes)}`,
      );
    }
    const type = bytes[1];
    if (bytes[0] !== version && type !== 0) {
      throw new OpenFlowError(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_VERSION,
        `a message of wire version ${bytes[0]}; this connection speaks ${version}`,
      );
    }
    let decoder = type === OFPT_EXPERIMENTER ? experimenterDecoder(bytes) : byType[type];
    if (decoder === undefined) {
      decoder = byType[type];
      if (decoder === undefined) {
        const name = nameOfType[type];
        if (name === undefined) {
          throw new OpenFlowError(
            ErrorType.BAD_REQUEST,
            BadRequestCode.BAD_TYPE,
            `there is no message of type ${type}`,
          );
        }
        decoder = decoders.message(name, table[name], HEADER_BYTES);
        byType[type] = decoder;
      }
    }
    if (bytes[0] === version) return decoder(bytes) as MessageOut<T>;
    // A hello of another version: what follows its header may be anything.
    try {
      return decoder(bytes) as MessageOut<T>;
    } catch {
      return decoder(bytes.subarray(0, HEADER_BYTES)) as MessageOut<T>;
    }
  }

  function prepare(name: string): PartEncoder {
    const def: MessageDef | undefined = Object.hasOwn(table, name) ? table[name] : undefined;
    if (def === undefined) {
      throw new EncodeError('FC_OF_UNKNOWN_TYPE', 'type', `there is no message '${name}'`);
    }
    const encoder = encoders.message(version, name, def);
    byName.set(name, encoder);
    return encoder;
  }

  function encodeInto(message: MessageIn<T>, target: Uint8Array, offset: number): number {
    const name = (message as { type: string }).type;
    const encoder = byName.get(name) ?? prepare(name);
    const end = encoder(target, offset, message);
    const length = end - offset;
    if (length > MAX_MESSAGE) {
      throw new EncodeError(
        'FC_OF_TOO_LONG',
        name,
        `this ${name} would have ${length} bytes; a message has at most ${MAX_MESSAGE}: split it`,
      );
    }
    target[offset + 2] = length >>> 8;
    target[offset + 3] = length;
    return end;
  }

  function encode(message: MessageIn<T>): Uint8Array {
    const start = slabUsed;
    const end = encodeInto(message, slab, start);
    if (end <= slab.length) {
      slabUsed = end;
      return new Uint8Array(slab.buffer, start, end - start);
    }
    // Writes beyond the end had no effect; once more with room.
    const length = end - start;
    if (length > SLAB_BYTES / 4) {
      const bytes = new Uint8Array(length);
      encodeInto(message, bytes, 0);
      return bytes;
    }
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = encodeInto(message, slab, 0);
    return new Uint8Array(slab.buffer, 0, slabUsed);
  }

  function forget(): void {
    slab = new Uint8Array(0);
    slabUsed = 0;
  }

  return { version, decode, encode, encodeInto, forget };
}
