/** Bundle entry of the built-in program `learning-switch`. */
import { defineCell } from './cell-globals.ts';
import { LearningSwitch } from './learning.ts';

const warmUp = {
  makeProgram: () => new LearningSwitch(),
  messages: () => [],
  startsAhead: true,
  rounds: 2,
  runs: 1,
  packets: 32,
};

defineCell({
  program: new LearningSwitch(),
  warmUp,
  renew: () => new LearningSwitch(),
  onFailure: (error) => {
    throw error;
  },
});
