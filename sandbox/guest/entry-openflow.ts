/** Bundle entry of the built-in program `openflow`. */
import { defineCell } from './cell-globals.ts';
import { OpenFlowProgram } from './openflow/program.ts';
import { flowSetUp } from './openflow/warm-messages.ts';

// Rounds and packets: measured; more makes the first packets no faster.
const warmUp = { makeProgram: () => new OpenFlowProgram(), messages: flowSetUp, rounds: 16, packets: 96 };

// What our own code throws is safe to show: the host logs it.
defineCell(new OpenFlowProgram(), warmUp, (error) => {
  throw error;
});
