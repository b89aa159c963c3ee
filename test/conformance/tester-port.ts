/**
 * The tester's end of a link to the target: sends frames as they are, and receives them with the VLAN tag
 * that the kernel takes out of every frame put back where it was.
 */
import {
  addressOf,
  EAGAIN,
  errno,
  highWord,
  IOV_WORDS,
  int32,
  lowWord,
  MMSG,
  MMSG_WORDS,
  MSG_DONTWAIT,
  PACKET_AUXDATA,
  SO_RCVBUFFORCE,
  SOL_PACKET,
  SOL_SOCKET,
  sys,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
} from '../../agent/ports/socket.ts';
import { Wire } from '../../bench/lib/wire.ts';
import { closeFd, errnoName } from '../../sandbox/sys/libc.ts';

const BURST = 32;
const SLOT_BYTES = 4096;
const TAG_BYTES = 4;
const RECEIVE_BUFFER_BYTES = 32 << 20;
/** CMSG_SPACE(sizeof(struct tpacket_auxdata)) and where its fields are, in 32-bit words. */
const CONTROL_WORDS = 10;
const AUX = { STATUS: 4, VLAN: 8, END_BYTES: 36 } as const;
const ETHERTYPE_VLAN = 0x8100;

export class TesterPort {
  /** As the target numbers it. */
  readonly number: number;
  readonly #wire: Wire;
  readonly #headers = new Uint32Array(BURST * MMSG_WORDS);
  readonly #iovs = new Uint32Array(BURST * IOV_WORDS);
  readonly #control = new Uint32Array(BURST * CONTROL_WORDS);
  readonly #frames = new Uint8Array(new ArrayBuffer(BURST * SLOT_BYTES));
  readonly #headersAddress = addressOf(this.#headers);

  constructor(number: number, namespace: string, interfaceName: string) {
    this.number = number;
    this.#wire = new Wire(namespace, interfaceName);
    for (const [level, name, value] of [
      [SOL_PACKET, PACKET_AUXDATA, 1],
      [SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES],
    ]) {
      if (sys.setsockopt(this.#wire.fd, level, name, int32(value), 4) !== 0) {
        throw new Error(`A socket option could not be set on ${interfaceName} (${errnoName(errno())}).`);
      }
    }
    for (let i = 0; i < BURST; i++) {
      const iov = addressOf(this.#iovs) + i * IOV_WORDS * 4;
      const frame = addressOf(this.#frames) + i * SLOT_BYTES + TAG_BYTES;
      const control = addressOf(this.#control) + i * CONTROL_WORDS * 4;
      this.#iovs.set([lowWord(frame), highWord(frame), SLOT_BYTES - TAG_BYTES], i * IOV_WORDS);
      const header = i * MMSG_WORDS;
      this.#headers.set([lowWord(iov), highWord(iov)], header + MMSG.IOV);
      this.#headers[header + MMSG.IOVLEN] = 1;
      this.#headers.set([lowWord(control), highWord(control)], header + MMSG.CONTROL);
    }
  }

  get fd(): number {
    return this.#wire.fd;
  }

  send(frame: Uint8Array): void {
    this.#wire.send(frame);
  }

  /** Hands over all frames that are there; the bytes are valid during the call only. Returns how many. */
  receive(sink: (frame: Uint8Array) => void): number {
    for (let total = 0; ; ) {
      for (let i = 0; i < BURST; i++) {
        this.#headers[i * MMSG_WORDS + MMSG.CONTROLLEN] = CONTROL_WORDS * 4;
      }
      const count = sys.recvmmsg(this.fd, this.#headersAddress, BURST, MSG_DONTWAIT, 0);
      if (count < 0) {
        const error = errno();
        if (error === EAGAIN) return total;
        throw new Error(`Receiving on port ${this.number} failed (${errnoName(error)}).`);
      }
      for (let i = 0; i < count; i++) sink(this.#frame(i));
      total += count;
      if (count < BURST) return total;
    }
  }

  close(): void {
    closeFd(this.fd);
  }

  #frame(i: number): Uint8Array {
    const start = i * SLOT_BYTES;
    const header = i * MMSG_WORDS;
    const end = start + TAG_BYTES + this.#headers[header + MMSG.LEN];
    const control = i * CONTROL_WORDS;
    const status = this.#control[control + AUX.STATUS];
    const tagged =
      this.#headers[header + MMSG.CONTROLLEN] >= AUX.END_BYTES && (status & TP_STATUS_VLAN_VALID) !== 0;
    if (!tagged) return this.#frames.subarray(start + TAG_BYTES, end);
    const vlan = this.#control[control + AUX.VLAN];
    const tpid = status & TP_STATUS_VLAN_TPID_VALID ? vlan >>> 16 : ETHERTYPE_VLAN;
    this.#frames.copyWithin(start, start + TAG_BYTES, start + TAG_BYTES + 12);
    this.#frames.set([tpid >>> 8, tpid, vlan >>> 8, vlan], start + 12);
    return this.#frames.subarray(start, end);
  }
}
