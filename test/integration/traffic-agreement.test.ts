/** The test kit says of a packet what a real agent does with it: one traffic suite over both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EAGER_FAST_PATH } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';
import { RealLab, virtualLab } from '../support/traffic-labs.ts';
import { repeated, SCENARIOS } from '../support/traffic-suite.ts';

const MODES = ['plain', 'flow'] as const;

describeNetwork('the test kit agrees with the real agent', () => {
  let real: RealLab;

  beforeAll(async () => {
    real = await RealLab.open();
  });
  afterAll(async () => {
    await real?.close();
  });

  describe.each(MODES)('%s mode', (mode) => {
    test.each(SCENARIOS)('$name', async (scenario) => {
      expect(await virtualLab.run(scenario, mode)).toEqual(await real.run(scenario, mode));
    });
  });
});

/** One tells the cell to name paths, one makes the entry, the others go by it. */
const TIMES = 4;
/** What a meter lets through in real time is no matter of repetition. */
const REPEATABLE = SCENARIOS.filter(({ setup }) => !setup?.some(({ type }) => type === 'meter_mod'));

describeNetwork('the test kit agrees with an agent whose packets the kernel forwards', () => {
  let real: RealLab;

  beforeAll(async () => {
    real = await RealLab.open(EAGER_FAST_PATH);
  });
  afterAll(async () => {
    await real?.close();
  });

  describe.each(MODES)('%s mode', (mode) => {
    test.each(REPEATABLE)('$name', async (scenario) => {
      const many = repeated(scenario, TIMES);
      expect(await real.run(many, mode)).toEqual(await virtualLab.run(many, mode));
    });

    test('which it really has forwarded', async () => {
      const before = await real.forwardedByKernel();
      const scenario = REPEATABLE.find(({ name }) => name === 'by port, by address, by priority')!;
      await real.run(repeated(scenario, TIMES), mode);
      expect(await real.forwardedByKernel()).toBeGreaterThan(before);
    });
  });
});
