/**
 * Queues of a port: HTB classes of its interface. Queue n is the class with minor number n + 1 (as Open vSwitch has it),
 * whoever made it. The agent makes those of its options with iproute2's tc, and takes away what it made.
 */
import { spawnSync } from 'node:child_process';
import type { HtbClass } from './rtnetlink.ts';
import { PortError } from './socket.ts';

/** A queue the agent is to make. */
export interface QueueSpec {
  /** The interface. */
  port: string;
  /** 0 to MAX_QUEUE. */
  id: number;
  /** Bits per second; guaranteed, and most. Left out: next to nothing, and what the port can. */
  min?: number;
  max?: number;
}

/** Highest queue the agent makes; the class numbers behind it are its own. */
export const MAX_QUEUE = 0xfff0;
/** Handle of the qdisc that the agent makes: nobody else would choose it. */
const OWN_MAJOR = 'f10c';
/** All the agent's queues are below this class, so that they can lend each other what they do not use. */
const ROOT_MINOR = 'fffe';
/** HTB needs a rate: 12 kbit/s is a full frame a second. */
const LEAST_RATE = 12_000;
/** Rate of a port that does not know its speed, bits per second. */
const UNKNOWN_PORT_RATE = 10e9;
/** Bytes a class may send in its turn. HTB's own guess, from the rate, is too little or too much for most rates. */
const QUANTUM = 3000;

/** Queues by interface. Throws PortError FC_QUEUE. */
export const queuesByPort = (specs: readonly QueueSpec[]): Map<string, QueueSpec[]> => {
  const byPort = new Map<string, QueueSpec[]>();
  for (const spec of specs) {
    const { port, id, min, max } = spec;
    const fail = (what: string) => new PortError('FC_QUEUE', `Queue ${id} of port ${port}: ${what}`);
    if (!Number.isInteger(id) || id < 0 || id > MAX_QUEUE) throw fail(`numbers go from 0 to ${MAX_QUEUE}.`);
    if (!((min ?? 1) >= 1 && (max ?? 1) >= 1)) throw fail('a rate must be more than 0.');
    if (min !== undefined && max !== undefined && min > max) throw fail('min is more than max.');
    const queues = byPort.get(port) ?? [];
    if (queues.some((other) => other.id === id)) throw fail('it is given twice.');
    byPort.set(port, [...queues, spec]);
  }
  return byPort;
};

const tc = (args: readonly string[], input?: string): void => {
  const { error, status, stderr } = spawnSync('tc', args, { input, encoding: 'utf8' });
  if (error !== undefined) {
    throw new PortError('FC_QUEUE', `Queues need iproute2's tc, which cannot be run (${error.message}).`);
  }
  if (status === 0) return;
  const said = stderr.trim().split('\n').at(-1);
  throw new PortError('FC_QUEUE', `'tc ${args.join(' ')}' failed: ${said}`);
};

/** Makes a port's queues; `speed` in Mbit/s, 0: unknown. Throws PortError FC_QUEUE, with nothing left half-made. */
export const makeQueues = (port: string, specs: readonly QueueSpec[], speed: number): void => {
  const all = speed > 0 ? speed * 1e6 : UNKNOWN_PORT_RATE;
  const under = `class add dev ${port} parent ${OWN_MAJOR}:`;
  const lines = specs.map(({ id, min, max = all }) => {
    const rate = Math.min(min ?? LEAST_RATE, max);
    const minor = (id + 1).toString(16);
    return `${under}${ROOT_MINOR} classid ${OWN_MAJOR}:${minor} htb rate ${rate}bit ceil ${max}bit quantum ${QUANTUM}`;
  });
  // One left behind by an agent that was killed.
  if (hasOwnQdisc(port)) removeQueues(port);
  tc(['qdisc', 'add', 'dev', port, 'root', 'handle', `${OWN_MAJOR}:`, 'htb']);
  try {
    const root = `${under} classid ${OWN_MAJOR}:${ROOT_MINOR} htb rate ${all}bit ceil ${all}bit quantum ${QUANTUM}`;
    tc(['-batch', '-'], `${[root, ...lines].join('\n')}\n`);
  } catch (error) {
    removeQueues(port);
    throw error;
  }
};

export const removeQueues = (port: string): void => {
  tc(['qdisc', 'del', 'dev', port, 'root', 'handle', `${OWN_MAJOR}:`, 'htb']);
};

const hasOwnQdisc = (port: string): boolean => {
  const { stdout } = spawnSync('tc', ['qdisc', 'show', 'dev', port], { encoding: 'utf8' });
  return stdout?.includes(`qdisc htb ${OWN_MAJOR}: root`) === true;
};

/** Queue number of a class. */
export const queueOf = ({ handle }: HtbClass): number => (handle & 0xffff) - 1;
