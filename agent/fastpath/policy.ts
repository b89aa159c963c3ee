/** What may be cached of which cell, and which cached flows a match may mean. */
import { DispatchFlag } from '../../openflow/index.ts';
import { K } from '../../packet/index.ts';
import type { CompiledMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';

/** Words of a key that another packet of the same flow may have others of, or that tables write. */
const UNKNOWN_WORDS = new Set<number>([K.METADATA_HI, K.METADATA_LO, K.TUNNEL_HI, K.TUNNEL_LO, K.FLABEL]);

/** Other programs' verdicts have no paths: they keep no counters. */
export const namesPaths = ({ program }: CellRecord): boolean =>
  program.trusted && program.name === 'openflow';

/** The rule allows it; what has no rule is an ordinary switch's. */
export const mayCache = ({ rule }: CellRecord): boolean =>
  rule === undefined || (rule.flags & DispatchFlag.CACHEABLE) !== 0;

const REVERSE_FLAGS = DispatchFlag.CACHE_REVERSE | DispatchFlag.BOTH_DIRECTIONS;
export const mayReverse = ({ rule }: CellRecord): boolean =>
  rule !== undefined && (rule.flags & REVERSE_FLAGS) === REVERSE_FLAGS;

/** Whether a packet of a flow with this key may be one that the match means, whatever tables did to it. */
export const mayMatch = ({ value, mask }: CompiledMatch, key: Uint32Array): boolean => {
  for (let word = 0; word < key.length; word++) {
    if (UNKNOWN_WORDS.has(word)) continue;
    if (((key[word] & mask[word]) ^ value[word]) !== 0) return false;
  }
  return true;
};
