/** What a packet meets in the pipeline of a cell, step by step. */
import type { Instruction, Match } from '../openflow/index.ts';

/** An entry as it was when a packet met it. */
export interface MatchedEntry {
  readonly table_id: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** An entry that is in a table, and what it has counted. */
export interface InstalledEntry extends MatchedEntry {
  readonly packets: number;
  readonly bytes: number;
}

export type Step =
  /** A packet begins its way; `packetOut`: by the actions of a PACKET_OUT. */
  | { readonly type: 'begin'; readonly in_port: number; readonly packetOut: boolean }
  /** A table was looked up; undefined: nothing matched, the packet is dropped. */
  | { readonly type: 'table'; readonly table_id: number; readonly entry: MatchedEntry | undefined }
  | { readonly type: 'meter'; readonly meter_id: number; readonly dropped: boolean }
  /** An action as it is executed: `output:2`, `set_field:eth_dst=02:00:00:00:00:01`. */
  | { readonly type: 'action'; readonly action: string }
  /** The bucket of a group, by its place, that a packet (or a copy of it) goes through. */
  | { readonly type: 'bucket'; readonly group_id: number; readonly bucket: number };
