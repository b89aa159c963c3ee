/**
 * The learning switch, with flows that end: of those it has set up only the latest stay, and the rule of the oldest is taken back
 * for every new one. Then isolates of cells that ended can be used again as long as a benchmark lasts.
 */
import { learningSwitch } from '../../apps/learning-switch.ts';
import { defineApp } from '../../controller/index.ts';

/** More than are ever under way at once. */
export const LIVE = 256;

const app = learningSwitch();
/** Cookies, in a ring. */
const live = new Array<bigint | undefined>(LIVE).fill(undefined);
let next = 0;

export default defineApp({
  ...app,
  onRule(datapath, rule) {
    const oldest = live[next];
    live[next] = rule.cookie;
    next = (next + 1) % LIVE;
    if (oldest !== undefined) datapath.removeRule(oldest);
    return app.onRule?.(datapath, rule);
  },
});
