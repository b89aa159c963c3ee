/** Streams of malformed OpenFlow messages: well framed, so that the peer has to look at what is inside. */

import { decode, encode, type MessageInit, OpenFlowError } from '../../openflow/index.ts';

const HEADER_BYTES = 8;
/** Of the nonsense: above those of sensible requests. */
const FIRST_XID = 1_000_000;

/** A generator of our own, so that a failure can be had again. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

function isMalformed(bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return false;
  } catch (error) {
    if (error instanceof OpenFlowError) return true;
    throw error;
  }
}

/** `count` messages that a decoder must refuse: samples, cut short, prolonged, and with bytes changed. */
export function nonsense(samples: readonly MessageInit[], count: number, seed = 4711): Uint8Array[] {
  const random = generator(seed);
  const found: Uint8Array[] = [];
  for (let n = 0; found.length < count; n++) {
    const whole = encode({ ...samples[n % samples.length], xid: FIRST_XID + n } as MessageInit);
    const length = Math.max(HEADER_BYTES, whole.length + random(33) - 16);
    const bytes = new Uint8Array(length);
    bytes.set(whole.subarray(0, length));
    for (let flips = random(4); flips > 0 && length > HEADER_BYTES; flips--) {
      bytes[HEADER_BYTES + random(length - HEADER_BYTES)] = random(256);
    }
    if (n % 11 === 0) bytes[1] = random(256);
    bytes[2] = length >>> 8;
    bytes[3] = length;
    if (isMalformed(bytes)) found.push(bytes);
  }
  return found;
}
