import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteRing } from '../../sandbox/channel/byte-ring.ts';
import { LineReader } from '../../sandbox/channel/control.ts';
import {
  CTL_IN_BYTES,
  CTL_IN_OFFSET,
  CTL_OUT_BYTES,
  CTL_OUT_OFFSET,
  H,
  REGION_BYTES,
} from '../../sandbox/channel/layout.ts';
import { ControlIn, ControlOut, MAX_QUEUED } from '../../sandbox/client/control-stream.ts';

function region(): { words: Int32Array; bytes: Uint8Array } {
  const memory = new ArrayBuffer(REGION_BYTES);
  return { words: new Int32Array(memory), bytes: new Uint8Array(memory) };
}

function message(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length).map((_, i) => i * 7 + seed);
  new DataView(bytes.buffer).setUint16(2, length);
  return bytes;
}

describe('control lines', () => {
  test('come out whole however they are cut', () => {
    const objects = [{ a: 1 }, { text: 'ä\n"' }, { b: [1, 2, { c: null }] }];
    const stream = Buffer.from(objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
        const seen: unknown[] = [];
        const reader = new LineReader();
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        for (let i = 1; i < places.length; i++) {
          reader.push(stream.subarray(places[i - 1], places[i]), (object) => seen.push(object));
        }
        expect(seen).toEqual(objects);
      }),
    );
  });

  test('may not be longer than the limit, nor anything but JSON', () => {
    const reader = new LineReader(10);
    reader.push(Buffer.alloc(10, 32), () => {});
    expect(() => reader.push(Buffer.alloc(1, 32), () => {})).toThrow(RangeError);
    expect(() => new LineReader().push(Buffer.from('{\n'), () => {})).toThrow(SyntaxError);
  });
});

describe('control bytes to a cell', () => {
  test('arrive in order through a ring that is read now and then', () => {
    const lengths = fc.array(fc.integer({ min: 8, max: 9000 }), { maxLength: 20 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: CTL_IN_BYTES }), (sizes, step) => {
        const { words, bytes } = region();
        const writer = new ControlIn(words, bytes);
        const reader = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
        const sent = sizes.map((size, i) => message(size, i));
        for (const each of sent) expect(writer.send(each)).toBe(true);
        const whole = Buffer.concat(sent);
        const got = new Uint8Array(whole.length);
        let at = 0;
        while (at < whole.length) {
          const length = Math.min(step, reader.readable());
          reader.read(got, at, length);
          at += length;
          writer.flush();
        }
        expect(Buffer.compare(got, whole)).toBe(0);
        expect(writer.queued).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('are bounded, and a position that cannot be is taken for a full ring', () => {
    const { words, bytes } = region();
    const writer = new ControlIn(words, bytes);
    words[H.CTL_IN_TAIL] = 12345;
    let accepted = 0;
    while (writer.send(new Uint8Array(1000))) accepted += 1000;
    expect(accepted).toBe(Math.floor(MAX_QUEUED / 1000) * 1000);
    expect(bytes.some((byte, i) => i >= 256 && byte !== 0)).toBe(false);
  });
});

describe('control bytes from a cell', () => {
  test('come out as whole messages, however they came', () => {
    const lengths = fc.array(fc.integer({ min: 8, max: 9000 }), { maxLength: 20 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: CTL_OUT_BYTES }), (sizes, step) => {
        const { words, bytes } = region();
        const reader = new ControlOut(words, bytes);
        const writer = new ByteRing(
          words,
          H.CTL_OUT_HEAD,
          H.CTL_OUT_TAIL,
          bytes,
          CTL_OUT_OFFSET,
          CTL_OUT_BYTES,
        );
        const sent = sizes.map((size, i) => message(size, i));
        const whole = Buffer.concat(sent);
        const got: Uint8Array[] = [];
        for (let at = 0; at < whole.length; ) {
          at += writer.write(whole.subarray(0, Math.min(at + step, whole.length)), at);
          expect(reader.take((each) => got.push(each))).toBe(null);
        }
        expect(got.map((each) => Buffer.from(each))).toEqual(sent.map((each) => Buffer.from(each)));
      }),
      { numRuns: 50 },
    );
  });

  test('that make no sense are named', () => {
    const short = region();
    short.bytes.set([4, 0, 0, 7], CTL_OUT_OFFSET);
    short.words[H.CTL_OUT_HEAD] = 8;
    expect(new ControlOut(short.words, short.bytes).take(() => {})).toContain('message length 7');
    const far = region();
    far.words[H.CTL_OUT_HEAD] = CTL_OUT_BYTES + 1;
    expect(new ControlOut(far.words, far.bytes).take(() => {})).toContain('out of range');
  });
});
