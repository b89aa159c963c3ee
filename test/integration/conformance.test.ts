/** os-ken's switch tests against our switch, in three versions of OpenFlow: all pass but those that are known. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { knownFailures } from '../conformance/known.ts';
import type { Report } from '../conformance/report.ts';
import { describeNetwork } from '../support/suites.ts';

const root = join(import.meta.dirname, '../..');
const patterns = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors/os-ken/switch_tests');
const have = existsSync(patterns);
if (!have) console.warn(`no test patterns in ${patterns}: set FLOWCELL_SHARED to the folder that has them`);

/**
 * Actions and matches are all run. Each case of a group or a meter takes 3 s: of those there is one of each kind here,
 * `npm run conformance` has them all.
 */
const RATES: Readonly<Record<string, { sample: string; total: number }>> = {
  '1.0': { sample: '', total: 192 },
  '1.3': {
    sample:
      '|^group/(00_ALL|01_SELECT_Weight_IP): 2Mbps.ethernet/ipv4' +
      '|^meter/(01_DROP_00_KBPS_00_1M|02_DSCP_REMARK_01_PKTPS_01_1000): [^(]*.ethernet/ipv4',
    total: 944,
  },
  '1.4': {
    sample:
      '|^group/01_SELECT_Weight_IP: 2Mbps.ethernet/ipv6|^meter/01_DROP_01_PKTPS_01_1000: [^(]*.ethernet/ipv6',
    total: 954,
  },
};
/** Before a packet counts as lost, ms: the machine may be busy. */
const PATIENCE = '20000';

describeNetwork("os-ken's switch tests", () => {
  const run = (target: string, openflow: string, only: string): { stderr: string; report: Report } => {
    const args = [
      '--target',
      target,
      '--openflow',
      openflow,
      '--only',
      only,
      '--timeout',
      PATIENCE,
      '--json',
    ];
    const { stdout, stderr } = spawnSync(
      join(root, 'bin/node'),
      [join(root, 'test/conformance/run.ts'), ...args],
      { encoding: 'utf8' },
    );
    return { stderr, report: JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') };
  };

  test.runIf(have).for(Object.entries(RATES))(
    'OpenFlow %s',
    { timeout: 600_000 },
    ([openflow, { sample, total }]) => {
      const { stderr, report } = run('flowcell', openflow, `^(action|match)/${sample}`);
      expect(stderr).toBe('');
      expect(report.failures.map(({ name }) => name).sort()).toEqual(knownFailures(openflow).sort());
      expect(report).toMatchObject({ openflow, target: 'flowcell', total });
    },
  );

  test.runIf(have)('OpenFlow 1.3, with the kernel fast path', { timeout: 600_000 }, () => {
    const { stderr, report } = run('flowcell-fast-path', '1.3', '^(action|match)/');
    expect(stderr).toMatch(/^packets that the kernel forwarded: [1-9]/);
    expect(report.failures.map(({ name }) => name).sort()).toEqual(knownFailures('1.3').sort());
    expect(report.total).toBe(940);
  });
});
