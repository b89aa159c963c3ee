/** Which entry makes room in a full table that evicts entries (OpenFlow 1.4, section 6.5). */
import type { FlowEntry } from './entry.ts';
import { deadline } from './timeouts.ts';

/** What counts: OFPTMPEF bits of OpenFlow 1.4; none: all. */
const EvictionFlag = { IMPORTANCE: 2, LIFETIME: 4 } as const;

/**
 * The entry of least importance, of those the one that would time out first, of those the one used longest ago. Never
 * one of more importance than the entry it is to make room for.
 */
export function victim(
  entries: Iterable<FlowEntry>,
  importance: number,
  flags: number,
): FlowEntry | undefined {
  const byImportance = flags === 0 || (flags & EvictionFlag.IMPORTANCE) !== 0;
  const byLifetime = flags === 0 || (flags & EvictionFlag.LIFETIME) !== 0;
  const goesBefore = (one: FlowEntry, other: FlowEntry): boolean => {
    if (byImportance && one.importance !== other.importance) return one.importance < other.importance;
    if (byLifetime && deadline(one) !== deadline(other)) return deadline(one) < deadline(other);
    return one.lastUsed < other.lastUsed;
  };
  let first: FlowEntry | undefined;
  for (const entry of entries) {
    if (byImportance && entry.importance > importance) continue;
    if (first === undefined || goesBefore(entry, first)) first = entry;
  }
  return first;
}
