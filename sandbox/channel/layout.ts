/**
 * The shared memory between the agent and one cell: one region per cell, mapped by the agent (mmap of the
 * sandbox host's memfd) and seen inside the isolate as a SharedArrayBuffer over the same pages.
 *
 * Everything here is numbers and bytes. The agent never trusts a number it reads from a region: ring
 * positions it relies on are kept in its own memory, and every offset and length is range-checked.
 *
 * A region holds, in this order: header, receive slots (agent -> cell), transmit records (cell -> agent),
 * scratch headers (cell's copies for packets that leave more than once with different bytes), control
 * bytes in (OpenFlow messages to the cell) and control bytes out (OpenFlow messages from the cell).
 *
 * All rings have power-of-two sizes and free-running unsigned 32-bit positions (`pos & (size - 1)` is the
 * place; `(head - tail) >>> 0` is how much is in it). The producer stores data first and then its position
 * with Atomics.store; the consumer reads the position with Atomics.load.
 */

/** Bytes from one cell's region to the next in the host's memfd; a multiple of the page size. */
export const REGION_BYTES = 65536;

/** Header: 64 words (256 bytes). Word indices into an Int32Array over the region. */
export const H = {
  /** Receive slots published by the agent / finished with by the cell. */
  RX_HEAD: 0,
  RX_TAIL: 1,
  /** Transmit records published by the cell / taken by the agent. */
  TX_HEAD: 2,
  TX_TAIL: 3,
  /** Control bytes to the cell: written by the agent / read by the cell. */
  CTL_IN_HEAD: 4,
  CTL_IN_TAIL: 5,
  /** Control bytes from the cell: written by the cell / read by the agent. */
  CTL_OUT_HEAD: 6,
  CTL_OUT_TAIL: 7,
  /**
   * Milliseconds (CLOCK_MONOTONIC, truncated to 32 bits) written by the host before each run. Guests have no
   * clock of their own.
   */
  NOW_MS: 8,
  /** Written by the cell: when it wants to run next even without packets (same clock), valid if TIMER_SET. */
  TIMER_MS: 9,
  TIMER_SET: 10,
  /** This cell's number, for the program's information; written by the host. */
  CELL_ID: 11,
  /** Counted by the cell: packets that wanted more records or heads than the region has, and were cut short. */
  CUT: 12,
  /** Counted by the cell: packets that ended because more was pushed in front of them than the headroom holds. */
  NO_HEADROOM: 13,
} as const;
export const HEADER_BYTES = 256;

/** Receive slots. */
export const RX_SLOTS = 64;
export const SLOT_BYTES = 512;
export const SLOT_WORDS = SLOT_BYTES / 4;
export const RX_OFFSET = HEADER_BYTES;

/**
 * Slot: 16 words of meta, 32 words of flow key, 64 bytes of headroom, 256 bytes of packet head.
 * The cell sees the first 256 bytes of a frame (Ethernet onwards); the rest stays with the agent, which
 * joins it on again when the packet is sent.
 */
export const SLOT = {
  /** OpenFlow port the packet came in by. */
  IN_PORT: 0,
  /** Length of the whole frame, bytes (may be 65 kB under segmentation offload). */
  FRAME_LEN: 1,
  /** Bytes of it in this slot's data area (at most DATA_MAX). */
  HEAD_LEN: 2,
  /** SLOT_FLAG bits. */
  FLAGS: 3,
  /** With CSUM_PARTIAL: where the checksum starts (from the Ethernet header) and the field's offset from there. */
  CSUM_START: 4,
  CSUM_OFFSET: 5,
  /** Offsets from the Ethernet header, as packet/ parsed them; 0 where there is no such header. */
  L3_OFFSET: 6,
  L4_OFFSET: 7,
  /** With PACKET_OUT: xid of the PACKET_OUT message, sent over the control bytes before this slot. */
  PACKET_OUT_XID: 8,
  /** The flow key (packet/key.ts) starts at this word. */
  KEY: 16,
} as const;
export const SLOT_FLAG = {
  /** The L4 checksum field holds only the pseudo-header's sum; the NIC or receiver finishes it. */
  CSUM_PARTIAL: 1,
  /** A segmentation-offload frame: stands for several packets on the wire. */
  GSO: 2,
  /** Not received from a port: the actions of the PACKET_OUT with xid PACKET_OUT_XID apply to it. */
  PACKET_OUT: 4,
  /** It is not to be begun before the messages in front of it are handled. */
  BEHIND_MESSAGES: 8,
} as const;
export const KEY_WORDS = 32;
export const HEADROOM_OFFSET = 192;
export const DATA_OFFSET = 256;
export const DATA_MAX = 256;

/** Transmit records: what the cell decided. */
export const TX_OFFSET = RX_OFFSET + RX_SLOTS * SLOT_BYTES;
export const TX_RECORDS = 256;
export const TX_WORDS = 12;
export const TX = {
  /** TX_KIND | TX_FLAG bits. */
  KIND: 0,
  /** Which receive slot the packet came in (0 .. RX_SLOTS-1). */
  SLOT: 1,
  /**
   * OUTPUT: OpenFlow port number or reserved port (IN_PORT, FLOOD, ALL, LOCAL). TO_CONTROLLER: ofp_packet_in_reason |
   * table << 8.
   */
  PORT: 2,
  /** Where the packet's head is now: byte offset in the region, and its length. */
  HEAD_OFFSET: 3,
  HEAD_LEN: 4,
  /** How many bytes of the received frame that head stands for; the agent appends frame[HEAD_CONSUMED..]. */
  HEAD_CONSUMED: 5,
  /** With CACHEABLE: the path through the tables, 0: not named; and how many messages the cell had seen that may change verdicts. */
  PATH: 6,
  MODIFICATIONS: 7,
  /** OUTPUT: the queue of the port, or NO_QUEUE. */
  QUEUE: 8,
  /** TO_CONTROLLER. */
  COOKIE_LO: 8,
  COOKIE_HI: 9,
  METADATA_LO: 10,
  METADATA_HI: 11,
} as const;
/** TX.QUEUE of a packet that no set_queue action was applied to; OFPQ_ALL as a signed word, which needs no heap. */
export const NO_QUEUE = -1;
export const TX_KIND = { DONE: 0, OUTPUT: 1, TO_CONTROLLER: 2 } as const;
export const TX_KIND_MASK = 0xff;
export const TX_FLAG = {
  /** Nothing more will come for this slot: the agent may release the frame and reuse the slot. */
  LAST: 0x100,
  /** The verdict depends on nothing but the flow key: it may be cached (fast path). */
  CACHEABLE: 0x200,
  /** OUTPUT: the packet is as it was received. The agent sends its own copy and does not look at the head. */
  UNCHANGED: 0x400,
} as const;

/** Scratch heads: each has the headroom and data size of a slot. */
export const SCRATCH_OFFSET = TX_OFFSET + TX_RECORDS * TX_WORDS * 4;
export const SCRATCH_HEADROOM = 64;
export const SCRATCH_BYTES = SCRATCH_HEADROOM + DATA_MAX;
export const SCRATCH_COUNT = 32;

export const CTL_IN_OFFSET = SCRATCH_OFFSET + SCRATCH_COUNT * SCRATCH_BYTES;
export const CTL_IN_BYTES = 4096;
export const CTL_OUT_OFFSET = CTL_IN_OFFSET + CTL_IN_BYTES;
export const CTL_OUT_BYTES = 4096;

/**
 * In place of run()'s budget: the isolate's next run is of another cell, and nothing of this one is left but code. Answered by
 * RUN.RENEWED alone, by built-in programs only. The region must be zero before the next run.
 */
export const RENEW = -2;
/**
 * Added to run()'s budget: the same, and then a first run of the next cell, whose region it is by now. RUN.RENEWED is among the bits
 * it answers. One entry into an isolate that is in no cache in place of two.
 */
export const RENEW_FIRST = 1 << 16;

/** What `run()` inside the isolate returns: bits. */
export const RUN = {
  /** There is more to do now (budget used up): call again soon. */
  MORE: 1,
  /** Transmit records or control bytes were produced: tell the agent. */
  PRODUCED: 2,
  /** Stopped because the agent has not yet taken records or control bytes; run again when it has. */
  BLOCKED: 4,
  /** The program threw; the cell must be ended (reason `exception`). */
  FAILED: 8,
  /** Nothing is left of the cell before (RENEW, RENEW_FIRST). */
  RENEWED: 16,
} as const;
