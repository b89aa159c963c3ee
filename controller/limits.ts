/** Bounds and time limits of the controller, in one place; each has a counter (metrics.ts). */

export interface Limits {
  /** Devices connected at the same time. */
  maxConnections: number;
  /** From the connection to the features reply, ms. */
  handshakeMs: number;
  /** Time without a word from the device after which it is asked for an echo, ms. */
  echoIdleMs: number;
  /** Time without a word after which the connection is given up, ms. */
  echoTimeoutMs: number;
  /** How long the rest of a begun message may take, ms. */
  partialMessageMs: number;
  /** Default time limit of a request, ms. */
  requestMs: number;
  /** How long a device may take to answer DISPATCH_CONFIG before it counts as an ordinary switch, ms. */
  dispatchProbeMs: number;
  /** Requests waiting for their reply, per device. */
  maxRequests: number;
  /** Bytes of one multipart reply, all parts together. */
  maxMultipartBytes: number;
  /** Outgoing bytes a device has not taken: above the first we stop reading from it, above the second we close. */
  pauseOutgoingBytes: number;
  maxOutgoingBytes: number;
  /** OpenFlow errors sent per device and second; malformed messages beyond are counted only. */
  maxErrorRepliesPerSecond: number;
  /** Ports kept per device. */
  maxPorts: number;
  /** Flows being set up at once, per device. */
  maxPendingFlows: number;
  /** Live cells on record, per device. */
  maxCells: number;
  /** How long an app may take to answer a query, ms. */
  appAnswerMs: number;
  /** How long the device may take from the rule to the cell being ready, ms. */
  cellReadyMs: number;
}

export const DEFAULT_CONTROLLER_LIMITS: Limits = {
  maxConnections: 1024,
  handshakeMs: 5_000,
  echoIdleMs: 5_000,
  echoTimeoutMs: 15_000,
  partialMessageMs: 5_000,
  requestMs: 10_000,
  dispatchProbeMs: 3_000,
  maxRequests: 65_536,
  maxMultipartBytes: 64 << 20,
  pauseOutgoingBytes: 1 << 20,
  maxOutgoingBytes: 16 << 20,
  maxErrorRepliesPerSecond: 100,
  maxPorts: 65_536,
  maxPendingFlows: 65_536,
  maxCells: 262_144,
  appAnswerMs: 5_000,
  cellReadyMs: 10_000,
};

/**
 * How often time limits are looked at, ms: often enough for the shortest of them, at most four times a second.
 */
export function tickInterval(limits: Limits): number {
  const shortest = Math.min(
    limits.handshakeMs,
    limits.echoIdleMs,
    limits.echoTimeoutMs,
    limits.partialMessageMs,
    limits.requestMs,
    limits.dispatchProbeMs,
    limits.appAnswerMs,
    limits.cellReadyMs,
  );
  return Math.max(5, Math.min(250, Math.floor(shortest / 4)));
}
