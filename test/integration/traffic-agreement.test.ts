/** The test kit says of a packet what a real agent does with it: one traffic suite over both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeNetwork } from '../support/suites.ts';
import { RealLab, virtualLab } from '../support/traffic-labs.ts';
import { SCENARIOS } from '../support/traffic-suite.ts';

describeNetwork('the test kit agrees with the real agent', () => {
  let real: RealLab;

  beforeAll(async () => {
    real = await RealLab.open();
  });
  afterAll(async () => {
    await real?.close();
  });

  describe.each(['plain', 'flow'] as const)('%s mode', (mode) => {
    test.each(SCENARIOS)('$name', async (scenario) => {
      expect(await virtualLab.run(scenario, mode)).toEqual(await real.run(scenario, mode));
    });
  });
});
