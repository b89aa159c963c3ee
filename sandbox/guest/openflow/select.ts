/** Which bucket of a select group a packet's flow goes to. */
import { K } from '../../../packet/index.ts';

/** Not secret: the choice must be the same in every cell and after every restart. */
const SEED = 0x9e3779b9 | 0;

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * A number that is the same for all packets of a flow: addresses, VLAN, MPLS label, protocol and ports. What changes
 * within a flow (priorities, TTL, congestion marks) and where it came in do not count.
 */
export function flowHash(key: Uint32Array): number {
  let hash = SEED;
  for (let i = K.ETH; i < K.ETH + 3; i++) hash = mix(hash, key[i]);
  hash = mix(hash, key[K.TYPE_VLAN] & 0xffff1fff);
  hash = mix(hash, key[K.PROTO] >>> 24);
  for (let i = K.SRC; i < K.SRC + 8; i++) hash = mix(hash, key[i]);
  hash = mix(hash, key[K.L4]);
  return finish(mix(hash, key[K.MPLS] >>> 12));
}

/**
 * How much a flow is drawn to a bucket; the greatest wins (weighted rendezvous hashing): flows spread as the weights
 * are, and when a bucket comes or goes only the flows that it wins or had move.
 */
export function attraction(hash: number, bucket: number, weight: number): number {
  const chance = ((finish(mix(hash, bucket)) >>> 0) + 0.5) / 0x1_0000_0000;
  return Math.log(chance) / weight;
}
