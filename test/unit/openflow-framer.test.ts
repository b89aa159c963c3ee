import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encode, Framer, OpenFlowError } from '../../openflow/index.ts';

const echo = (length: number, xid: number) =>
  encode({ type: 'echo_request', xid, data: new Uint8Array(length).fill(xid) });

test('messages come out whole and in order however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
      (lengths, cuts) => {
        const messages = lengths.map((length, i) => echo(length, i + 1));
        const stream = new Uint8Array(Buffer.concat(messages));
        const framer = new Framer();
        const got: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const next = Math.min(stream.length, at + cuts[i % cuts.length]);
          framer.push(stream.slice(at, next), (bytes) => got.push(bytes.slice()));
          at = next;
        }
        expect(got).toEqual(messages);
        expect(framer.buffered).toBe(0);
      },
    ),
  );
});

test('whole messages are handed on without a copy', () => {
  const chunk = new Uint8Array(Buffer.concat([echo(4, 1), echo(4, 2)]));
  const buffers: ArrayBufferLike[] = [];
  new Framer().push(chunk, (bytes) => buffers.push(bytes.buffer));
  expect(buffers).toEqual([chunk.buffer, chunk.buffer]);
  expect(buffers.every((buffer) => buffer === chunk.buffer)).toBe(true);
});

test('the callback may push more', () => {
  const framer = new Framer();
  const got: number[] = [];
  const whole = echo(4, 1);
  framer.push(whole.slice(0, 5), () => got.push(-1));
  framer.push(whole.slice(5), () => {
    got.push(1);
    framer.push(echo(4, 2), () => got.push(2));
  });
  expect(got).toEqual([1, 2]);
});

test('says how much it holds of an incomplete message', () => {
  const framer = new Framer();
  framer.push(echo(10, 1).slice(0, 11), () => expect.unreachable());
  expect(framer.buffered).toBe(11);
});

test.each([
  ['a length below 8 at once', [new Uint8Array([4, 0, 0, 7, 0, 0, 0, 0])]],
  ['a length of 0 in pieces', [new Uint8Array([4, 0]), new Uint8Array([0, 0, 0, 0]), new Uint8Array([0, 0])]],
])('%s cannot be followed', (_name, chunks) => {
  const framer = new Framer();
  expect(() => {
    for (const chunk of chunks) framer.push(chunk, () => expect.unreachable());
  }).toThrowError(OpenFlowError);
});

test('messages before a bad header are still delivered', () => {
  const got: number[] = [];
  const chunk = Buffer.concat([echo(0, 1), Buffer.from([4, 0, 0, 1, 0, 0, 0, 0])]);
  expect(() => new Framer().push(chunk, (bytes) => got.push(bytes.length))).toThrowError(/BAD_LEN/);
  expect(got).toEqual([8]);
});

test('maxBuffered bounds what is accepted, before the bytes have come', () => {
  const framer = new Framer({ maxBuffered: 100 });
  framer.push(echo(92, 1), () => {});
  expect(() => framer.push(echo(93, 1).slice(0, 8), () => expect.unreachable())).toThrowError(/BAD_LEN/);
});

test('what it hands over can be copied by slice(), even out of a Buffer', () => {
  const chunk = Buffer.from([4, 2, 0, 8, 0, 0, 0, 7]);
  const kept: Uint8Array[] = [];
  new Framer().push(chunk, (bytes) => kept.push(bytes.slice()));
  chunk.fill(0);
  expect([...kept[0]]).toEqual([4, 2, 0, 8, 0, 0, 0, 7]);
});
