/**
 * Matchers for vitest: import this module once in a test file (or name it in `setupFiles`).
 *
 * ```ts
 * await expect(h1).toReach(h2);
 * await expect(h1.tcp(h2, { dst: 22 })).toBeDroppedBy(s1);
 * await expect(h1.udp(h2, { dst: 53 })).toMatchFlow(s1, { priority: 100 });
 * ```
 *
 * A failure prints what happened on the way. Packets are sent by the network they were made in; an Outcome (of `net.send`
 * or `net.ping`) is taken as it is.
 */
import { expect } from 'vitest';
import type { FakeDatapath } from './datapath.ts';
import { VirtualHost } from './host.ts';
import { describePattern, type EntryPattern, Outcome, TestPacket } from './packet.ts';

interface FlowcellMatchers {
  /** A host's ping is answered; a packet arrives at the host, and is for it. */
  toReach(host: VirtualHost): Promise<void>;
  /** The switch receives the packet, and sends nothing of it on. */
  toBeDroppedBy(datapath: FakeDatapath): Promise<void>;
  /** The packet meets an entry like this on the switch. */
  toMatchFlow(datapath: FakeDatapath, pattern: EntryPattern): Promise<void>;
}

declare module 'vitest' {
  // The parameters must be as vitest declares them.
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown>
    extends FlowcellMatchers {}
}

interface Result {
  pass: boolean;
  message: () => string;
}

const outcomeOf = (subject: unknown): Outcome | Promise<Outcome> => {
  if (subject instanceof Outcome) return subject;
  if (subject instanceof TestPacket) return subject.send();
  throw new TypeError('a packet is wanted (host.udp(...), host.frame(...)), or the outcome of one');
};

const result = (pass: boolean, outcome: Outcome, rest: string): Result => ({
  pass,
  message: () => `${outcome.packet} ${pass ? 'was not to' : 'was to'} ${rest}\n\n${outcome.trace}`,
});

expect.extend({
  async toReach(subject: unknown, host: VirtualHost): Promise<Result> {
    const outcome = await (subject instanceof VirtualHost ? subject.ping(host) : outcomeOf(subject));
    return result(outcome.reached.includes(host), outcome, `reach ${host.name}`);
  },

  async toBeDroppedBy(subject: unknown, datapath: FakeDatapath): Promise<Result> {
    const outcome = await outcomeOf(subject);
    return result(outcome.isDroppedBy(datapath), outcome, `be dropped by ${datapath.name}`);
  },

  async toMatchFlow(subject: unknown, datapath: FakeDatapath, pattern: EntryPattern): Promise<Result> {
    const outcome = await outcomeOf(subject);
    const wanted = describePattern(pattern);
    return result(outcome.matched(datapath, pattern), outcome, `match ${wanted} on ${datapath.name}`);
  },
});
