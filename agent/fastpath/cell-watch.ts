/** What of the conversation with a cell concerns the flows of it that the kernel forwards. */
import {
  decode,
  type MessageOf,
  OpenFlowError,
  PathMessageFlag,
  TableConfigFlag,
} from '../../openflow/index.ts';
import { compileMatch } from '../../sandbox/match.ts';
import type { ControlWatch } from '../cell-conversation.ts';
import type { CellRecord } from '../cells.ts';
import type { FastPath } from './fast-path.ts';

export class CellWatch implements ControlWatch {
  readonly #fastPath: FastPath;
  readonly #cell: CellRecord;
  /** Entries may make room for others: an ADD can end any of them. */
  #evicts = false;

  constructor(fastPath: FastPath, cell: CellRecord) {
    this.#fastPath = fastPath;
    this.#cell = cell;
  }

  /** The kernel stops forwarding what the message may change before the cell has it. */
  changing(message: Uint8Array): void {
    if (this.#cell.flows === undefined && message[1] === OFPT_FLOW_MOD) return;
    const decoded = decodedOf(message);
    if (decoded?.type === 'table_config' && decoded.flags & TableConfigFlag.EVICTION) this.#evicts = true;
    if (decoded?.type !== 'flow_mod' || this.#evicts) this.#fastPath.changing(this.#cell, 0, undefined);
    else this.#fastPath.changing(this.#cell, decoded.table_id, compiled(decoded));
  }

  asking(): void {
    this.#fastPath.settle(this.#cell);
  }

  released({ token, paths, flags }: MessageOf<'path_release'>): void {
    this.#fastPath.release(this.#cell, token, paths, (flags & PathMessageFlag.FORCE) !== 0);
  }

  ended(): void {
    this.#fastPath.drop(this.#cell);
  }
}

const OFPT_FLOW_MOD = 14;

/** Undefined for what the cell will refuse. */
const decodedOf = (message: Uint8Array) => {
  try {
    return decode(message);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    return undefined;
  }
};

/** Undefined, which is all packets, for a match that is none. */
const compiled = ({ match }: MessageOf<'flow_mod'>) => {
  try {
    return compileMatch(match);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    return undefined;
  }
};
