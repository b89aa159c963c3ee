/** Bundle entry of the built-in program `openflow`. */
import { forgetEncoded } from '../../openflow/index.ts';
import { defineCell } from './cell-globals.ts';
import { OpenFlowProgram } from './openflow/program.ts';
import { flowSetUp } from './openflow/warm-messages.ts';

// Measured: V8's Maglev has compiled by then what packets and entries take (4.5 ms more than two rounds of 32 packets; a flow's
// first 500 packets take 1.5 us in place of 8, three at a time). The rounds differ: V8 learns that a compiled table is
// not always the same function, and which shapes objects come to have.
const warmUp = {
  makeProgram: () => new OpenFlowProgram(),
  messages: (round: number) => (round % 2 === 0 ? flowSetUp() : flowSetUp().slice(3)),
  startsAhead: true,
  rounds: 3,
  runs: 240,
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
