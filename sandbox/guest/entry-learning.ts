/** Bundle entry of the built-in program `learning-switch`. */
import { defineCell } from './cell-globals.ts';
import { LearningSwitch } from './learning.ts';

const warmUp = { makeProgram: () => new LearningSwitch(), messages: () => [], rounds: 8, packets: 64 };

defineCell(new LearningSwitch(), warmUp, (error) => {
  throw error;
});
