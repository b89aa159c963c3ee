import { sweep } from '../../mininet/topology.ts';

/** Before any test: what a killed earlier run left is removed. */
export async function setup(): Promise<void> {
  if (process.geteuid?.() === 0) await sweep();
}
