/** Memory for frames that the kernel writes to and reads from: at an address that stays. */
import koffi from 'koffi';
import {
  errnoName,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  raw,
} from '../../sandbox/sys/libc.ts';
import { FRAME_STRIDE, type FrameMemory } from './frames.ts';
import { PortError } from './port-error.ts';
import { errno } from './socket.ts';

/** Throws PortError FC_NO_MEMORY when the address space cannot be had. */
export function mapFrames(count: number): FrameMemory {
  const bytes = count * FRAME_STRIDE;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const address = Number(raw.mmap(0n, bytes, PROT_READ | PROT_WRITE, flags, -1, 0));
  if (address === -1) {
    throw new PortError(
      'FC_NO_MEMORY',
      `No address space for ${count} frames (${errnoName(errno())}); lower the number of frames.`,
    );
  }
  return { bytes: new Uint8Array(koffi.view(BigInt(address), bytes)), address };
}
