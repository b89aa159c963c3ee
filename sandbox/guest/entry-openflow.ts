/** Bundle entry of the built-in program `openflow`. */
import { forgetEncoded } from '../../openflow/index.ts';
import { defineCell } from './cell-globals.ts';
import { OpenFlowProgram } from './openflow/program.ts';
import { flowSetUp } from './openflow/warm-messages.ts';

// Measured: so many until V8 has compiled with Maglev what every packet and every entry takes (8 ms more; a flow's first 500
// packets then take 1.3 us in place of 9). The rounds differ: of two tables V8 learns that a compiled table is not always the
// same function, of three programs which shapes their objects come to have.
const warmUp = {
  makeProgram: () => new OpenFlowProgram(),
  messages: (round: number) => (round % 2 === 0 ? flowSetUp() : flowSetUp().slice(3)),
  startsAhead: true,
  rounds: 3,
  runs: 340,
  packets: 2,
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
