/** Mininet for tests: in process, mount and network namespaces of its own, so that several run side by side. */
import { join } from 'node:path';
import { exec } from '../../mininet/run.ts';

const root = join(import.meta.dirname, '../..');
export const MININET_SCRIPTS = join(root, 'test/mininet');
const UNSHARE = ['unshare', '--net', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
/** Mininet is Debian's, so it is for Debian's Python. */
export const PYTHON = '/usr/bin/python3';

/** What a run has left behind: nothing, if all is well. */
export interface Leftovers {
  /** Of the program; negative: the signal that ended it. */
  exit: number;
  processes: string[];
  links: string[];
  sockets: string[];
}

export const NOTHING_LEFT = { processes: [], links: [], sockets: [] };

export interface MininetOptions {
  /** Starts Open vSwitch's daemons first. */
  ovs?: boolean;
  /** Kills the program when it prints this. */
  killAt?: string;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
}

/** Runs a program there, in the checkout's folder. Rejects with CommandError when the surroundings fail, not when it does. */
export async function inMininet(
  argv: readonly string[],
  { ovs, killAt, env, timeoutMs = 280_000 }: MininetOptions = {},
): Promise<{ output: string; stderr: string; left: Leftovers }> {
  const options = [...(ovs ? ['--ovs'] : []), ...(killAt === undefined ? [] : ['--kill-at', killAt])];
  const { FLOWCELL_RUN_DIR: _, ...own } = process.env;
  const { stdout, stderr } = await exec(
    [...UNSHARE, PYTHON, join(MININET_SCRIPTS, 'private.py'), ...options, ...argv],
    { cwd: root, env: { ...own, ...env }, timeoutMs },
  );
  const lines = stdout.trimEnd().split('\n');
  return { output: lines.slice(0, -1).join('\n'), stderr, left: JSON.parse(lines.at(-1) ?? '') as Leftovers };
}

export type Check =
  | 'pingall'
  | 'ring'
  | 'tcp'
  | 'tcp_without_offload'
  | 'udp'
  | 'ipv6'
  | 'vlan'
  | 'link'
  | 'restart';

/** What scenario.py does with a combination of switches and controller: each check's result, by name. */
export async function scenario(
  switches: 'flowcell' | 'ovs' | 'mixed',
  controller: 'flowcell' | 'os-ken' | 'ovs',
  shape: { switches: number; fanout: number },
  checks: readonly Check[],
): Promise<{ results: Record<string, unknown>; left: Leftovers; stderr: string }> {
  const script = join(MININET_SCRIPTS, 'scenario.py');
  const numbers = [shape.switches, shape.fanout].map(String);
  const { output, left, stderr } = await inMininet(
    [PYTHON, script, switches, controller, ...numbers, ...checks],
    { ovs: switches !== 'flowcell' },
  );
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  const results = lines.map((line) => JSON.parse(line) as { check: string; result: unknown });
  return {
    results: Object.fromEntries(results.map(({ check, result }) => [check, result])),
    left,
    stderr,
  };
}
