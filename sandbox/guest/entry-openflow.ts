/** Bundle entry of the built-in program `openflow`. */
import { forgetEncoded } from '../../openflow/index.ts';
import { defineCell } from './cell-globals.ts';
import { OpenFlowProgram } from './openflow/program.ts';
import { flowSetUp } from './openflow/warm-messages.ts';

// Rounds and packets: measured. The first round compiles everything (6 ms less for the first flow); more rounds
// cost time and memory and make neither a flow's set-up nor its first packets faster.
const warmUp = {
  makeProgram: () => new OpenFlowProgram(),
  messages: flowSetUp,
  startsAhead: true,
  rounds: 2,
  packets: 32,
};

defineCell({
  program: new OpenFlowProgram(),
  warmUp,
  renew() {
    forgetEncoded();
    return new OpenFlowProgram();
  },
  // What our own code throws is safe to show: the host logs it.
  onFailure(error) {
    throw error;
  },
});
