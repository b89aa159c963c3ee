/**
 * The learning switch as an app of a file, for flows that must lose nothing on a machine with other work: their cells
 * outlive a test however long it takes, and may take longer for a run. 50 ms, the usual, can pass while a host waits
 * for its turn on a processor in the middle of one.
 */

import { learningSwitch } from '../../apps/learning-switch.ts';
import { defineApp, type FlowDecision } from '../../controller/index.ts';

export const PATIENT_RUN_MS = 500;
const IDLE_S = 300;

const learning = learningSwitch({ idle_timeout: IDLE_S });

export default defineApp({
  ...learning,
  onFlow(query) {
    // It answers at once.
    const answer = learning.onFlow?.(query) as FlowDecision;
    if (answer === null || answer === undefined || 'refuse' in answer) return answer;
    return { ...answer, cells: [{ runMs: PATIENT_RUN_MS }] };
  },
});
