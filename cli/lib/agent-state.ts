/** What an agent's local socket answers (agent/local/views.ts), as far as it is shown. */

import { flowText, type MatchFields } from './format.ts';

/** Number of the cell that packets without a rule go to in plain mode, and of the one used in standalone mode. */
const DEFAULT_CELL = 0;
const STANDALONE_CELL = 0xffffffff;

/** One of GET /cells. */
export interface AgentCell {
  id: number;
  state: string;
  tenant: number;
  program: string;
  /** The rule's match; null for the agent's own cells. */
  match: MatchFields | null;
  age_s: number;
  setup_us: number;
  packets: number;
  bytes: number;
  /** Of the packets: those that the kernel forwarded. */
  kernel_packets: number;
  /** Packets waiting for it, and inside it. */
  waiting: number;
  in_flight: number;
  cpu_us: number;
  heap_bytes: number;
}

/** One of GET /rules. */
export interface AgentRule {
  match: MatchFields;
  priority: number;
  state: string;
  cell: number | null;
  both_directions: boolean;
  tenant: number;
  cookie: string;
  idle_timeout: number;
  hard_timeout: number;
  age_s: number;
  idle_s: number;
  packets: number;
  bytes: number;
}

/** An OpenFlow entry as a cell reports it; 64-bit numbers are decimal strings. */
export interface AgentEntry {
  table_id: number;
  priority: number;
  match: MatchFields;
  instructions: readonly { type: string; [field: string]: unknown }[];
  packet_count: string | number;
  byte_count: string | number;
  duration_sec: number;
  idle_timeout: number;
  hard_timeout: number;
}

/** One of GET /flows. */
export interface AgentFlows {
  cell: number;
  program: string;
  /** Null when the cell did not answer in time. */
  flows: AgentEntry[] | null;
}

/** Which flow a cell has. */
export function cellFlow(cell: Pick<AgentCell, 'id' | 'match'>): string {
  if (cell.match !== null) return flowText(cell.match);
  if (cell.id === DEFAULT_CELL) return '(default cell)';
  if (cell.id === STANDALONE_CELL) return '(standalone cell)';
  return '(no rule)';
}
