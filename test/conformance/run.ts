/**
 * npm run -s conformance -- [--openflow 1.0|1.3|1.4|all] [--target flowcell|flowcell-fast-path|ovs] [--only REGEX] [--list] [--json]
 * [--timeout MS] [--verbose]
 * os-ken's switch tests against our switch or another one. See docs/conformance.md.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from './lab.ts';
import { type Case, loadCases } from './patterns.ts';
import { PROTOCOLS, type Protocol, protocolNamed } from './protocol.ts';
import { type Report, report, summary, text } from './report.ts';
import { type Outcome, runCase } from './run-case.ts';
import { TARGETS } from './target.ts';

const PATTERNS = 'vectors/os-ken/switch_tests';
const DEFAULT_TIMEOUT_MS = 500;
/** A target that has to be started more often is broken. */
const MAX_STARTS = 20;

function fail(sentence: string): never {
  process.stderr.write(`conformance: ${sentence}\n`);
  process.exit(2);
}

function options() {
  const { values } = parseArgs({
    options: {
      openflow: { type: 'string', default: '1.3' },
      target: { type: 'string', default: 'flowcell' },
      only: { type: 'string', default: '' },
      timeout: { type: 'string', default: String(DEFAULT_TIMEOUT_MS) },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const target = TARGETS[values.target];
  if (target === undefined) {
    fail(`there is no target '${values.target}'; there are: ${Object.keys(TARGETS).join(', ')}`);
  }
  const protocol = protocolNamed(values.openflow);
  if (protocol === undefined && values.openflow !== 'all') {
    const names = PROTOCOLS.map(({ name }) => name).join(', ');
    fail(`--openflow takes ${names} or all, not '${values.openflow}'`);
  }
  const timeoutMs = Number(values.timeout);
  if (!(timeoutMs > 0)) fail(`--timeout takes milliseconds, not '${values.timeout}'`);
  const protocols = protocol === undefined ? PROTOCOLS : [protocol];
  return {
    ...values,
    protocols,
    only: new RegExp(values.only),
    needs: target.needs,
    times: target.times ?? 1,
    timeoutMs,
  };
}

function cases(protocol: Protocol, only: RegExp): Case[] {
  const folder = resolve(process.env.FLOWCELL_SHARED ?? '../shared', PATTERNS);
  if (!existsSync(folder)) fail(`there are no test patterns in ${folder}; set FLOWCELL_SHARED`);
  return loadCases(folder, protocol).filter(({ name }) => only.test(name));
}

interface Run {
  readonly protocol: Protocol;
  readonly chosen: readonly Case[];
}

async function run({ protocol, chosen }: Run): Promise<Report> {
  const began = performance.now();
  const lab = await Lab.open(target, protocol);
  const outcomes: Outcome[] = [];
  try {
    for (const [index, one] of chosen.entries()) {
      const outcome = await runCase(lab, one, { timeoutMs, times });
      outcomes.push(outcome);
      if (lab.starts > MAX_STARTS) throw new Error(`${target} was lost ${MAX_STARTS} times`);
      if (verbose) process.stderr.write(`${outcome.failure ?? 'ok'}  ${one.name}\n`);
      else if (process.stderr.isTTY) process.stderr.write(`\r${index + 1}/${chosen.length} `);
    }
    const { target: tested } = await lab.connection();
    const forwarded = await tested.forwardedByKernel?.();
    if (forwarded !== undefined) process.stderr.write(`packets that the kernel forwarded: ${forwarded}\n`);
  } finally {
    await lab.close();
  }
  if (!verbose && process.stderr.isTTY) process.stderr.write('\r');
  return report(target, protocol.name, outcomes, (performance.now() - began) / 1000);
}

const { openflow, protocols, target, only, list, json, verbose, needs, times, timeoutMs } = options();
const runs: Run[] = protocols.map((protocol) => ({ protocol, chosen: cases(protocol, only) }));
if (runs.every(({ chosen }) => chosen.length === 0)) fail(`no case is called like ${only}`);
const several = openflow === 'all';
const title = ({ name }: Protocol) => (several ? `OpenFlow ${name}\n` : '');
if (list) {
  for (const { protocol, chosen } of runs) {
    process.stdout.write(`${title(protocol)}${chosen.map(({ name }) => name).join('\n')}\n`);
  }
} else {
  if (process.getuid?.() !== 0) fail('network namespaces need root; run it as root');
  for (const program of needs) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) {
      fail(`${program} is not installed; apt-get install openvswitch-switch`);
    }
  }
  const reports: Report[] = [];
  for (const one of runs) {
    const result = await run(one);
    reports.push(result);
    process.stdout.write(`${title(one.protocol)}${text(result)}\n`);
  }
  const result = several ? summary(target, reports) : reports[0];
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = result.ok ? 0 : 1;
}
