/** The loop in a cell: rings, what happens when they run full, timer, failure. */
import { describe, expect, it } from 'vitest';
import { encode } from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import {
  H,
  NO_QUEUE,
  REGION_BYTES,
  RUN,
  RX_SLOTS,
  SCRATCH_COUNT,
  TX_RECORDS,
} from '../../sandbox/channel/layout.ts';
import type { Cell, Packet, Program } from '../../sandbox/guest/program.ts';
import { regionViews } from '../../sandbox/guest/region-views.ts';
import { Runtime } from '../../sandbox/guest/runtime.ts';
import { MAX_HEADS } from '../../sandbox/guest/transmit.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const frame = (n = 0) =>
  ethernet({
    type: 0x0800,
    payload: ipv4({ proto: 17, id: n, payload: udp({ payload: new Uint8Array(400) }) }),
  });

/** Sends each packet `copies` times, each copy with its number in the first byte. */
class Copier implements Program {
  copies: number;
  seen = 0;
  constructor(copies: number) {
    this.copies = copies;
  }
  packet(packet: Packet): void {
    this.seen++;
    for (let i = 0; i < this.copies; i++) {
      packet.edit();
      packet.bytes[packet.offset] = i;
      packet.output(i + 1);
    }
  }
}

describe('packets', () => {
  it('go through in order, every slot answered exactly once with LAST', () => {
    const harness = new GuestHarness({
      packet: (packet) => packet.inPort === 2 || packet.output(packet.inPort + 10),
    } as Program);
    for (let n = 0; n < 200; n++) {
      harness.push(frame(n), { inPort: n % 3 });
      expect(harness.run() & ~RUN.PRODUCED).toBe(0);
      const sent = harness.take();
      expect(sent).toHaveLength(1);
      expect(sent[0]).toMatchObject({
        slot: n % RX_SLOTS,
        last: true,
        kind: n % 3 === 2 ? 'done' : 'output',
      });
      if (n % 3 !== 2) expect(sent[0].frame).toEqual(frame(n));
    }
  });

  it('beyond the budget wait, and MORE says so', () => {
    const harness = new GuestHarness({ packet: (packet) => packet.output(1) });
    for (let n = 0; n < 10; n++) harness.push(frame(n));
    expect(harness.run(4)).toBe(RUN.MORE | RUN.PRODUCED);
    expect(harness.words[H.RX_TAIL]).toBe(4);
    expect(harness.run(6)).toBe(RUN.PRODUCED);
    expect(harness.run(6)).toBe(0);
  });

  it('sent several times with different bytes keep them apart', () => {
    const harness = new GuestHarness(new Copier(SCRATCH_COUNT + 1));
    const sent = harness.send(frame(3));
    expect(sent).toHaveLength(SCRATCH_COUNT + 1);
    sent.forEach((record, i) => {
      const expected = frame(3);
      expected[0] = i;
      expect(record.port).toBe(i + 1);
      expect(record.frame).toEqual(expected);
      expect(record.last).toBe(i === SCRATCH_COUNT);
    });
  });

  it('are run once, however slowly the agent takes the records', () => {
    const copier = new Copier(20);
    const harness = new GuestHarness(copier);
    const count = 30;
    const sent = [];
    for (let n = 0; n < count; n++) harness.push(frame(n));
    let blocked = 0;
    // 7 records at a time: neither scratch nor records come free in step with the packets.
    for (let turn = 0; turn < 10_000 && harness.words[H.RX_TAIL] !== count; turn++) {
      if ((harness.run() & RUN.BLOCKED) !== 0) blocked++;
      sent.push(...harness.take(7));
    }
    sent.push(...harness.take());
    expect(copier.seen).toBe(count);
    expect(blocked).toBeGreaterThan(10);
    expect(sent).toHaveLength(20 * count);
    sent.forEach((record, i) => {
      const expected = frame(Math.floor(i / 20));
      expected[0] = i % 20;
      expect(record.frame).toEqual(expected);
      expect(record.port).toBe((i % 20) + 1);
      expect(record.last).toBe(i % 20 === 19);
    });
    expect(harness.words[H.CUT]).toBe(0);
  });

  it('do not take the slot back before their records are out', () => {
    const harness = new GuestHarness({
      packet(packet) {
        for (let i = 0; i < 200; i++) packet.output(i + 1);
      },
    });
    harness.push(frame());
    harness.push(frame());
    expect(harness.run()).toBe(RUN.PRODUCED | RUN.BLOCKED);
    expect(harness.words[H.RX_TAIL]).toBe(1);
    expect(harness.take()).toHaveLength(TX_RECORDS);
    expect(harness.run()).toBe(RUN.PRODUCED);
    expect(harness.words[H.RX_TAIL]).toBe(2);
    const rest = harness.take();
    expect(rest).toHaveLength(400 - TX_RECORDS);
    expect(rest.filter(({ last }) => last)).toHaveLength(1);
    expect(rest.at(-1)?.last).toBe(true);
  });

  it('that want more than the region has are cut short and counted', () => {
    const records = new GuestHarness({
      packet(packet) {
        for (let i = 0; i < TX_RECORDS + 50; i++) packet.output(1);
      },
    });
    expect(records.send(frame())).toHaveLength(TX_RECORDS);
    expect(records.words[H.CUT]).toBe(1);
    const heads = new GuestHarness(new Copier(MAX_HEADS + 10));
    const sent = heads.send(frame());
    expect(sent).toHaveLength(MAX_HEADS + 1);
    expect(sent.map((record) => record.frame[0])).toEqual(sent.map((_, i) => i));
    expect(heads.words[H.CUT]).toBe(1);
    expect(heads.send(frame())).toHaveLength(MAX_HEADS + 1);
  });

  it('name the queue of an output, or none', () => {
    const harness = new GuestHarness({
      packet(packet) {
        packet.output(1);
        packet.output(2, 0);
        packet.output(3, 7);
      },
    });
    expect(harness.send(frame()).map(({ port, queue }) => [port, queue])).toEqual([
      [1, NO_QUEUE],
      [2, 0],
      [3, 7],
    ]);
  });

  it('say of each output whether the packet is still as it was received', () => {
    const harness = new GuestHarness({
      packet(packet) {
        packet.output(1);
        packet.edit();
        packet.bytes[packet.offset]++;
        packet.output(2);
      },
    });
    expect(harness.send(frame()).map(({ unchanged }) => unchanged)).toEqual([true, false]);
    const inPlace = new GuestHarness({
      packet(packet) {
        packet.edit();
        packet.bytes[packet.offset]++;
        packet.output(1);
      },
    });
    expect(inPlace.send(frame()).map(({ unchanged }) => unchanged)).toEqual([false]);
    // The slot is another packet's then.
    expect(inPlace.send(frame()).map(({ unchanged }) => unchanged)).toEqual([false]);
    const shorter = new GuestHarness({
      packet(packet) {
        packet.offset += 4;
        packet.length -= 4;
        packet.output(1);
      },
    });
    expect(shorter.send(frame()).map(({ unchanged }) => unchanged)).toEqual([false]);
  });

  it('show cookie and metadata to the controller in full', () => {
    const cookie = 0xfedcba9876543210n;
    const harness = new GuestHarness({
      packet(packet) {
        packet.toController(1, 9, cookie, 0x8000000000000001n);
        packet.cacheable();
      },
    });
    expect(harness.send(frame())).toMatchObject([
      {
        kind: 'controller',
        port: 1,
        tableId: 9,
        cookie,
        metadata: 0x8000000000000001n,
        cacheable: true,
      },
    ]);
  });
});

describe('control messages', () => {
  class Echo implements Program {
    readonly received: string[] = [];
    cell!: Cell;
    start(cell: Cell): void {
      this.cell = cell;
    }
    packet(): void {}
    message(message: Uint8Array): void {
      this.received.push(Buffer.from(message).toString('hex'));
      this.cell.send(message.slice());
    }
  }
  const message = (length: number, xid: number) => {
    const bytes = encode({ type: 'echo_request', xid, data: new Uint8Array(length - 8).fill(xid) });
    return new Uint8Array(bytes);
  };

  it('come whole and in order, whatever their length and the pieces they come in', () => {
    const echo = new Echo();
    const harness = new GuestHarness(echo);
    const messages = [8, 9, 4095, 4096, 4097, 30_000, 65_535, 16, 8].map(message);
    const bytes = messages.flatMap((one) => [...one]);
    const answers: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const piece = Uint8Array.from(bytes.slice(at, at + 1 + ((at * 7) % 3000)));
      at += piece.length;
      harness.control(piece);
      harness.run();
      answers.push(...harness.rawMessages().map((one) => Buffer.from(one).toString('hex')));
    }
    for (let turn = 0; turn < 200; turn++) {
      harness.run();
      answers.push(...harness.rawMessages().map((one) => Buffer.from(one).toString('hex')));
    }
    const expected = messages.map((one) => Buffer.from(one).toString('hex'));
    expect(echo.received).toEqual(expected);
    expect(answers).toEqual(expected);
  });

  it('are not read while answers wait for room', () => {
    const echo = new Echo();
    const harness = new GuestHarness(echo);
    for (let n = 0; n < 4; n++) harness.control(message(2000, n));
    // Two fit into the ring either way; the answer to the third does not any more.
    expect(harness.run()).toBe(RUN.PRODUCED);
    expect(harness.run()).toBe(RUN.PRODUCED | RUN.BLOCKED);
    expect(harness.run()).toBe(RUN.BLOCKED);
    expect(echo.received).toHaveLength(3);
    expect(harness.rawMessages()).toHaveLength(2);
    expect(harness.run()).toBe(RUN.PRODUCED);
    expect(harness.rawMessages()).toHaveLength(2);
    expect(echo.received).toHaveLength(4);
  });

  it('that cannot be end the cell', () => {
    const harness = new GuestHarness(new Echo());
    harness.control(Uint8Array.of(4, 2, 0, 7, 0, 0, 0, 0));
    expect(() => harness.run()).toThrow(/control stream broken/);
    expect(harness.run()).toBe(RUN.FAILED);
  });
});

describe('the timer', () => {
  it('goes off once, at its time, across the wrap of the clock', () => {
    const fired: number[] = [];
    let cell!: Cell;
    const harness = new GuestHarness({
      start: (given) => {
        cell = given;
      },
      packet: () => {},
      timer: (now) => fired.push(now),
    });
    harness.now = 0x7ffffff0;
    harness.run();
    cell.setTimer(cell.now() + 100);
    harness.now = 0x7ffffff0 + 99;
    harness.run();
    expect(fired).toEqual([]);
    harness.now = 0x7ffffff0 + 100;
    harness.run();
    harness.run();
    expect(fired).toEqual([(0x7ffffff0 + 100) | 0]);
    expect(harness.timer).toBeUndefined();
    cell.setTimer(cell.now() + 1);
    cell.clearTimer();
    harness.now = 0;
    harness.run();
    expect(fired).toHaveLength(1);
  });

  it('and the number of the cell come from the region', () => {
    let id = 0;
    new GuestHarness({ start: (cell) => (id = cell.id), packet: () => {} } as Program, 0xdeadbeef);
    expect(id).toBe(0xdeadbeef);
  });
});

describe('a packet that comes behind messages', () => {
  it('is not begun before they are handled, however long that takes; one that does not is', () => {
    const order: string[] = [];
    let now = 0;
    const program: Program = {
      message: ([, type]) => {
        order.push(`message ${type}`);
        // No further message in this run.
        now += 1000;
      },
      packet: (packet) => void order.push(`packet ${packet.inPort}`),
    };
    const harness = new GuestHarness(program, 7, 4096, () => now);
    harness.control({ type: 'echo_request' }, { type: 'barrier_request' });
    harness.push(frame(1), { inPort: 1, behind: true });
    expect(harness.run() & RUN.MORE).toBe(RUN.MORE);
    expect(order).toEqual(['message 2']);
    harness.run();
    expect(order).toEqual(['message 2', 'message 20', 'packet 1']);

    const message = encode({ type: 'echo_request', data: new Uint8Array(100) });
    harness.control(message.subarray(0, 50));
    harness.push(frame(2), { inPort: 2 });
    harness.push(frame(3), { inPort: 3, behind: true });
    expect(harness.run() & RUN.BLOCKED).toBe(RUN.BLOCKED);
    expect(order.slice(3)).toEqual(['packet 2']);
    harness.control(message.subarray(50));
    harness.run();
    expect(order.slice(4)).toEqual(['message 2', 'packet 3']);
  });
});

describe('a program that throws', () => {
  it('fails the cell for good; its exception is not touched', () => {
    const touched: string[] = [];
    const trap = new Proxy({}, { get: (_, name) => touched.push(String(name)) });
    const memory = new SharedArrayBuffer(REGION_BYTES);
    const words = new Int32Array(memory);
    const runtime = new Runtime(
      {
        packet: () => {
          throw trap;
        },
      },
      regionViews(memory, 0),
    );
    expect(runtime.attach()).toBe(0);
    words[H.RX_HEAD] = 1;
    expect(runtime.run(8)).toBe(RUN.FAILED);
    expect(runtime.run(8)).toBe(RUN.FAILED);
    expect(touched).toEqual([]);
  });

  it('loses no verdict of the packets before', () => {
    const memory: Packet[] = [];
    const harness = new GuestHarness({
      packet(packet) {
        memory.push(packet);
        if (memory.length === 3) throw new Error('third');
        packet.output(5);
      },
    });
    for (let n = 0; n < 4; n++) harness.push(frame(n));
    expect(() => harness.run()).toThrow('third');
    expect(harness.take()).toHaveLength(2);
  });

  it('cannot re-enter the loop', () => {
    let again = -1;
    const harness: GuestHarness = new GuestHarness({
      packet() {
        again = harness.runtime.run(64);
      },
    });
    harness.push(frame());
    harness.push(frame());
    harness.run();
    expect(again).toBe(0);
    expect(harness.take()).toHaveLength(2);
  });
});
