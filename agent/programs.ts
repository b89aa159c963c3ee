/** Switch programs by content hash: the built-in ones and those the controller uploaded. */
import { createHash } from 'node:crypto';
import { BUILT_IN_PROGRAM, type Message, ProgramState } from '../openflow/index.ts';
import type { ProgramImage } from '../sandbox/client/types.ts';

type ProgramPiece = Extract<Message, { type: 'program' }>;

export interface ProgramLimits {
  /** Largest program, bytes. */
  bytes: number;
  /** Uploaded programs kept. */
  count: number;
  /** Uploads under way at a time. */
  uploads: number;
}

const DEFAULT_LIMITS: ProgramLimits = { bytes: 4 << 20, count: 64, uploads: 8 };

interface Upload {
  name: string;
  bytes: Uint8Array;
  received: number;
}

export class Programs {
  readonly #limits: ProgramLimits;
  readonly #builtIn = new Map<string, ProgramImage>();
  readonly #byHash = new Map<string, ProgramImage>();
  readonly #uploads = new Map<string, Upload>();

  constructor(builtIn: readonly ProgramImage[], limits = DEFAULT_LIMITS) {
    this.#limits = limits;
    for (const program of builtIn) {
      this.#builtIn.set(program.name, program);
      this.#byHash.set(program.hash, program);
    }
  }

  /** A built-in program by name. Throws RangeError when there is none. */
  named(name: string): ProgramImage {
    const program = this.#builtIn.get(name);
    if (program === undefined) throw new RangeError(`There is no built-in program ${name}.`);
    return program;
  }

  /** By hash, all zero meaning `openflow`. */
  find(hash: string): ProgramImage | undefined {
    return hash === BUILT_IN_PROGRAM ? this.named('openflow') : this.#byHash.get(hash);
  }

  /** Takes one piece. Returns the ProgramState to answer with, or undefined while more is to come. */
  piece(piece: ProgramPiece): number | undefined {
    const { hash, total_len, offset, data } = piece;
    if (this.#byHash.has(hash)) return ProgramState.STORED;
    if (total_len === 0 || total_len > this.#limits.bytes) return ProgramState.TOO_LARGE;
    if (offset === 0) this.#begin(piece);
    const upload = this.#uploads.get(hash);
    if (upload === undefined) return ProgramState.BAD_OFFSET;
    const fits = offset + data.length <= total_len;
    if (upload.bytes.length !== total_len || upload.received !== offset || !fits) {
      this.#uploads.delete(hash);
      return ProgramState.BAD_OFFSET;
    }
    upload.bytes.set(data, offset);
    upload.received += data.length;
    return upload.received < total_len ? undefined : this.#finish(hash, upload);
  }

  #begin({ hash, name, total_len }: ProgramPiece): void {
    this.#uploads.delete(hash);
    // The oldest upload makes room: a controller that went away in the middle must not block the next.
    if (this.#uploads.size >= this.#limits.uploads) this.#uploads.delete(firstKey(this.#uploads));
    this.#uploads.set(hash, { name, bytes: new Uint8Array(total_len), received: 0 });
  }

  #finish(hash: string, { name, bytes }: Upload): number {
    this.#uploads.delete(hash);
    if (createHash('sha256').update(bytes).digest('hex') !== hash) return ProgramState.BAD_HASH;
    const uploaded = this.#byHash.size - this.#builtIn.size;
    if (uploaded >= this.#limits.count) this.#forgetOldest();
    const code = new TextDecoder().decode(bytes);
    this.#byHash.set(hash, { name: name || hash.slice(0, 12), hash, code, trusted: false });
    return ProgramState.STORED;
  }

  /** Cells that run it keep it. */
  #forgetOldest(): void {
    for (const [hash, program] of this.#byHash) {
      if (program.trusted) continue;
      this.#byHash.delete(hash);
      return;
    }
  }
}

const firstKey = (map: Map<string, unknown>): string => {
  for (const key of map.keys()) return key;
  return '';
};
