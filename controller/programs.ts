/** Uploads of switch programs to one device: in pieces, once per content. */

import { createHash } from 'node:crypto';
import type { Message } from '../openflow/index.ts';
import { FlowcellError } from './errors.ts';
import type { Counters } from './metrics.ts';
import type { Session } from './session.ts';

const PIECE_BYTES = 32 * 1024;
const MAX_PROGRAM_BYTES = 8 << 20;
/** Room on the device for the name, one byte of it the terminating zero. */
const MAX_NAME_BYTES = 31;

export interface ProgramSource {
  /** For people and for `CellSpec.program`; ASCII, at most 31 characters. */
  name: string;
  /** One self-contained script. */
  code: string;
}

/** By the numbers of program_reply.state. */
const REPLY_STATES = ['stored', 'bad_hash', 'too_large', 'bad_offset'];

export class Programs {
  readonly #session: Session;
  readonly #counters: Counters;
  readonly #uploads = new Map<string, Promise<string>>();
  /** Names and hashes of what the device has confirmed. */
  readonly #stored = new Map<string, string>();

  constructor(session: Session, counters: Counters) {
    this.#session = session;
    this.#counters = counters;
  }

  /** Hash of an uploaded program by name or hash. */
  readonly lookup = (program: string): string | undefined => this.#stored.get(program);

  /** Uploads once per content; failed uploads may be tried again. Resolves to the hex SHA-256 of the code. */
  upload(source: ProgramSource): Promise<string> {
    const code = new TextEncoder().encode(source.code);
    if (!/^[\x21-\x7e]+$/.test(source.name) || source.name.length > MAX_NAME_BYTES) {
      return Promise.reject(
        new FlowcellError(
          'FC_PROGRAM_NAME',
          `a program's name is 1 to ${MAX_NAME_BYTES} printable ASCII characters, not '${source.name}'`,
        ),
      );
    }
    if (code.length === 0 || code.length > MAX_PROGRAM_BYTES) {
      return Promise.reject(
        new FlowcellError(
          'FC_PROGRAM_SIZE',
          `program '${source.name}' has ${code.length} bytes; 1 to ${MAX_PROGRAM_BYTES} can be uploaded`,
        ),
      );
    }
    const hash = createHash('sha256').update(code).digest('hex');
    let upload = this.#uploads.get(hash);
    if (upload === undefined) {
      upload = this.#send(source.name, hash, code);
      this.#uploads.set(hash, upload);
      upload.catch(() => this.#uploads.delete(hash));
    }
    return upload.then(() => {
      this.#stored.set(source.name, hash);
      return hash;
    });
  }

  async #send(name: string, hash: string, code: Uint8Array): Promise<string> {
    const piece = (offset: number) => ({
      type: 'program' as const,
      hash,
      name,
      total_len: code.length,
      offset,
      data: code.subarray(offset, offset + PIECE_BYTES),
    });
    // All pieces have one transaction id, so that the reply is found whichever piece it answers.
    const answer = Promise.withResolvers<Message>();
    const xid = this.#session.call(piece(0), (error, reply) =>
      reply === undefined ? answer.reject(error) : answer.resolve(reply),
    );
    for (let offset = PIECE_BYTES; offset < code.length; offset += PIECE_BYTES) {
      this.#session.sendAs(piece(offset), xid);
    }
    const reply = await answer.promise;
    if (reply.type !== 'program_reply' || reply.hash !== hash || reply.state !== 0) {
      const state = reply.type === 'program_reply' ? (REPLY_STATES[reply.state] ?? reply.state) : reply.type;
      throw new FlowcellError('FC_PROGRAM_REFUSED', `the device did not store program '${name}': ${state}`);
    }
    this.#counters.programs_uploaded++;
    this.#stored.set(hash, hash);
    return hash;
  }
}
