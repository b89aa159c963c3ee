/** Every type that is declared for any version survives encode and decode: found by walking the tables. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCodec } from '../../openflow/codec.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../../openflow/schema/extended.ts';
import { type MessageDef, message } from '../../openflow/schema/messages.ts';
import { list, struct, union } from '../../openflow/schema/types.ts';
import { decodeAny } from '../../openflow/versions.ts';
import { type AnyCodec, declaredTypes, VERSIONS } from '../support/openflow-versions.ts';
import { messageArbitrary } from './openflow-arbitrary.ts';

/** What was encoded is decoded to the same values, and these encode to the same bytes. */
function roundTrip(codec: AnyCodec, value: unknown): void {
  const bytes = codec.encode(value);
  const decoded = codec.decode(bytes);
  deepStrictEqual(decoded, value);
  deepStrictEqual(codec.encode(decoded), bytes);
}

const holds = (codec: AnyCodec, type: string, def: MessageDef, numRuns: number) =>
  fc.assert(
    fc.property(messageArbitrary(type, def), (value) => roundTrip(codec, value)),
    { numRuns },
  );

/** A codec with one message, in which there is nothing but the fields to be tested. */
const probe = (version: number, def: MessageDef): AnyCodec =>
  createCodec(version, { probe: def }, ExtendedDecoderCompiler, ExtendedEncoderCompiler) as never;

describe.each(VERSIONS)('OpenFlow $name', ({ wire, codec, messages }) => {
  test.each(Object.entries(messages))('message %s', (type, def) => holds(codec, type, def, 60));

  const { unions, choices, structs, fields } = declaredTypes(messages);

  test.each(unions)('%s', (_, options, variants) =>
    holds(
      probe(wire, message(200, '', { items: list(union(options, variants)) })),
      'probe',
      message(200, '', { items: list(union(options, variants)) }),
      60,
    ),
  );

  test.each(choices)('%s', (_, body) =>
    holds(probe(wire, message(200, '', body)), 'probe', message(200, '', body), 40),
  );

  test.each(structs)('%s', (name, body) => {
    const def = message(200, '', 'items' in body ? body : { one: struct(name, body) });
    holds(probe(wire, def), 'probe', def, 40);
  });

  test.each(fields)('match field %s', (_, body) => {
    const def = message(200, '', body);
    holds(probe(wire, def), 'probe', def, 60);
  });

  test('decodeAny says which version it is', () => {
    const bytes = codec.encode({ type: 'echo_request', xid: 7, data: new Uint8Array([1, 2]) });
    expect(decodeAny(bytes)).toEqual({
      version: wire,
      message: { type: 'echo_request', xid: 7, data: new Uint8Array([1, 2]) },
    });
  });
});

test('decodeAny: a hello of a version to come is a hello, anything else of it an error', () => {
  const hello = decodeAny(new Uint8Array([9, 0, 0, 8, 0, 0, 0, 1]));
  expect(hello.message).toEqual({ type: 'hello', version: 9, xid: 1, elements: [] });
  expect(() => decodeAny(new Uint8Array([9, 2, 0, 8, 0, 0, 0, 1]))).toThrow('BAD_REQUEST/BAD_VERSION');
  expect(() => decodeAny(new Uint8Array(0))).toThrow('BAD_REQUEST/BAD_VERSION');
});

test('TypeScript narrows by version and by type', () => {
  const any = decodeAny(new Uint8Array([1, 5, 0, 8, 0, 0, 0, 1]));
  if (any.version === 4 && any.message.type === 'packet_in') {
    const cookie: bigint = any.message.cookie;
    expect(cookie).toBeDefined();
  }
  if (any.version === 1 && any.message.type === 'packet_in') {
    const port: number = any.message.in_port;
    expect(port).toBeDefined();
    // @ts-expect-error OpenFlow 1.0 has no cookie in it
    expect(any.message.cookie).toBeUndefined();
  }
  expect(any.message.type).toBe('features_request');
});
