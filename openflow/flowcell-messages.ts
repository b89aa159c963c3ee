import { BUILT_IN_PROGRAM, FLOWCELL_EXPERIMENTER } from './flowcell.ts';
import { experimenterMessage } from './schema/messages.ts';
import {
  countOf,
  cstring,
  hex,
  list,
  opt,
  pad,
  rest,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
} from './schema/types.ts';
import { matchNode } from './v13/actions.ts';

const ZERO_HASH = BUILT_IN_PROGRAM;

/** One cell of a dispatch rule; several form a chain. */
export const cellSpec = struct('cell_spec', {
  /** SHA-256 of the program's code; all zero: the built-in `openflow`. */
  program: opt(hex(32), ZERO_HASH),
  /** V8 heap, MiB; 0: the device's default. */
  memory_mib: opt(u16, 0),
  /** Longest run, milliseconds; 0: the device's default. */
  run_ms: opt(u16, 0),
  pad1: pad(4),
});

/** What the device's flow cache forwarded of one path through a cell's tables. */
export const pathCredit = struct('path_credit', {
  path: u32,
  /** PathFlag bits. */
  flags: opt(u32, 0),
  packet_count: opt(u64, 0n),
  byte_count: opt(u64, 0n),
  /** When the last of the packets came: the cell's clock, milliseconds, 32 bits. */
  last_seen_ms: opt(u32, 0),
  pad1: pad(4),
});

/** The extension's messages (OFPT_EXPERIMENTER of FLOWCELL_EXPERIMENTER), by name. See docs/protocol.md. */
export const flowcellMessages = {
  /** Both ways: the controller says how to dispatch, the device answers with what is in force. */
  dispatch_config: experimenterMessage(FLOWCELL_EXPERIMENTER, 1, {
    miss: opt(u8, 0),
    flags: opt(u8, 0),
    held_per_flow: opt(u16, 0),
    query_bytes: opt(u16, 0),
    query_timeout_ms: opt(u16, 0),
    held_total: opt(u32, 0),
    new_flows_per_sec: opt(u32, 0),
    fields: opt(u64, 0n),
  }),
  /** Device to controller: a flow without a rule; its packets are held. */
  dispatch_query: experimenterMessage(FLOWCELL_EXPERIMENTER, 2, {
    query_id: u32,
    in_port: u32,
    total_len: u16,
    reason: opt(u8, 0),
    flags: opt(u8, 0),
    tenant: opt(u32, 0),
    match: opt(matchNode, {}),
    pad1: pad(2),
    data: opt(rest, new Uint8Array(0)),
  }),
  /** Controller to device: which packets are a flow, and which cells they go through. */
  dispatch_rule: experimenterMessage(FLOWCELL_EXPERIMENTER, 3, {
    command: opt(u8, 0),
    wall: opt(u8, 0),
    flags: opt(u16, 0),
    query_id: opt(u32, 0),
    cookie: opt(u64, 0n),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    on_failure: opt(u8, 0),
    n_cells: countOf('cells', 1),
    tenant: opt(u32, 0),
    cell: opt(u32, 0),
    match: opt(matchNode, {}),
    cells: opt(list(cellSpec), []),
  }),
  /** Device to controller: what became of a cell, with figures. */
  cell_status: experimenterMessage(FLOWCELL_EXPERIMENTER, 4, {
    state: u8,
    reason: opt(u8, 0),
    priority: opt(u16, 0),
    query_id: opt(u32, 0),
    cell: opt(u32, 0),
    tenant: opt(u32, 0),
    cookie: opt(u64, 0n),
    setup_us: opt(u32, 0),
    cpu_us: opt(u32, 0),
    memory_bytes: opt(u32, 0),
    duration_sec: opt(u32, 0),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    match: opt(matchNode, {}),
    detail: opt(text, ''),
  }),
  /** Controller to device: one piece of a program. */
  program: experimenterMessage(FLOWCELL_EXPERIMENTER, 5, {
    hash: hex(32),
    total_len: u32,
    offset: opt(u32, 0),
    name: opt(cstring(32), ''),
    data: opt(rest, new Uint8Array(0)),
  }),
  /** Device to controller: after the last piece of a program, or at an error. */
  program_reply: experimenterMessage(FLOWCELL_EXPERIMENTER, 6, {
    hash: hex(32),
    state: opt(u8, 0),
    pad1: pad(7),
  }),
  /** Controller to device: a message for one cell, for those that have no match to name the cell in. */
  cell_message: experimenterMessage(FLOWCELL_EXPERIMENTER, 7, {
    cell: u32,
    pad1: pad(4),
    message: rest,
  }),
  /**
   * Agent to cell: what OpenFlow 1.0 and 1.4 say of tables and 1.3 cannot. Cell to agent, with the same xid: what is
   * in force, where nothing but table_id was asked for (flags QUERY).
   */
  table_config: experimenterMessage(FLOWCELL_EXPERIMENTER, 8, {
    table_id: u8,
    flags: opt(u8, 0),
    vacancy_down: opt(u8, 0),
    vacancy_up: opt(u8, 0),
    vacancy: opt(u8, 0),
    pad1: pad(3),
    eviction_flags: opt(u32, 0),
    pad2: pad(4),
  }),
  /** Cell to agent: a table's vacancy passed a limit. */
  table_status: experimenterMessage(FLOWCELL_EXPERIMENTER, 9, {
    table_id: u8,
    reason: u8,
    vacancy_down: opt(u8, 0),
    vacancy_up: opt(u8, 0),
    vacancy: opt(u8, 0),
    pad1: pad(3),
  }),
  /** Agent to cell: the messages between BEGIN and COMMIT happen all at once, or none of them. */
  transaction: experimenterMessage(FLOWCELL_EXPERIMENTER, 10, {
    phase: u8,
    pad1: pad(7),
  }),
  /** Cell to agent: these paths are not to be cached any more, unless they are in use. */
  path_release: experimenterMessage(FLOWCELL_EXPERIMENTER, 11, {
    token: u32,
    flags: opt(u32, 0),
    paths: opt(list(u32), []),
  }),
  /** Agent to cell: what was forwarded without it. Answers a path_release of the same token, if that is not 0. */
  path_credit: experimenterMessage(FLOWCELL_EXPERIMENTER, 12, {
    token: opt(u32, 0),
    flags: opt(u32, 0),
    credits: opt(list(pathCredit), []),
  }),
} as const;
