/**
 * OpenFlow 1.4 and 1.5 in terms of 1.3: every message of 1.3 that they can say comes through a connection as it was
 * sent, and recorded messages of theirs through 1.3.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flowcellMessages } from '../../openflow/flowcell-messages.ts';
import { EncodeError, type Message, OpenFlowError } from '../../openflow/index.ts';
import type { MessageDef } from '../../openflow/schema/messages.ts';
import type { ChoiceNode } from '../../openflow/schema/types.ts';
import { messages as messages13 } from '../../openflow/v13/messages.ts';
import type { WireVersion } from '../../openflow/versions.ts';
import { answered, ends, REPLIES, REQUESTS, requested } from '../support/dialects.ts';
import { messageArbitrary, variantArbitrary } from './openflow-arbitrary.ts';

type Json = Record<string, never>;
// biome-ignore lint/suspicious/noExplicitAny: messages of any type, whose fields are changed by name
type Any = any;

const table: Record<string, MessageDef> = { ...messages13, ...flowcellMessages };

/** Each type of message; multipart messages by each body. */
const cases: [name: string, arbitrary: fc.Arbitrary<Any>, type: string][] = Object.entries(table).flatMap(
  ([type, def]) => {
    const body = def.fields.body as ChoiceNode | undefined;
    if (body === undefined) return [[type, messageArbitrary(type, def), type]];
    return Object.entries(body.variants).map(([name, variant]) => {
      const arbitrary = fc
        .tuple(fc.nat(0xffffffff), fc.nat(1), variantArbitrary(name, variant))
        .map(([xid, flags, value]) => ({ type, xid, flags, body: value }));
      return [`${type} ${name}`, arbitrary, type] as never;
    });
  },
);

const isNotApplied = ({ type }: Any) => type !== 'apply_actions';

/** In 1.5 a meter is the first of the actions that are applied; without meter or actions there is nothing to apply. */
function withMeterFirst(instructions: Any[]): Any[] {
  const meter = instructions.find(({ type }) => type === 'meter');
  const others = instructions.filter(({ type }) => type !== 'meter');
  if (meter === undefined) return instructions;
  const at = others.findIndex(({ type }) => type === 'apply_actions');
  if (at < 0) return [meter, ...others];
  if (others[at].actions.length === 0) return [meter, ...others.toSpliced(at, 1)].filter(isNotApplied);
  return others.toSpliced(at, 0, meter);
}

const noExperimenter = (list: Any[]) => list.filter(({ type }) => type !== 'experimenter');
const known = (masks: [number, number], bits: number) => masks.map((mask) => (mask & bits) >>> 0);
const asyncMasks = (message: Any) => ({
  ...message,
  packet_in_mask: known(message.packet_in_mask, 7),
  port_status_mask: known(message.port_status_mask, 7),
  flow_removed_mask: known(message.flow_removed_mask, 15),
});
const instructed = (version: WireVersion, entry: Any) =>
  version === 5 ? entry : { ...entry, instructions: withMeterFirst(entry.instructions) };

/** What the version cannot say is not asked for: makes of any message one that it can. */
const SAYABLE: Record<string, (message: Any, version: WireVersion) => Any> = {
  error: (message) => ({ ...message, error_type: message.error_type % 13 }),
  features_reply: (message, version) =>
    version === 5 ? message : { ...message, capabilities: (message.capabilities & ~0x600) >>> 0 },
  packet_in: (message) => ({ ...message, reason: message.reason % 3 }),
  flow_mod: (message, version) => instructed(version, { ...message, flags: message.flags & 0x7fff }),
  group_mod: (message, version) => (version === 5 ? message : { ...message, command: message.command % 3 }),
  set_async: asyncMasks,
  get_async_reply: asyncMasks,
  queue_get_config_reply: (message) => ({
    ...message,
    port: 0xffffffff,
    queues: message.queues.map((one: Any) => ({ ...one, properties: noExperimenter(one.properties) })),
  }),
  multipart_reply: (message, version) => ({
    ...message,
    body: BODIES[message.body.type]?.(message.body, version) ?? message.body,
  }),
  multipart_request: (message, version) => ({
    ...message,
    body: BODIES[message.body.type]?.(message.body, version) ?? message.body,
  }),
};
const BODIES: Record<string, (body: Any, version: WireVersion) => Any> = {
  flow: (body, version) =>
    body.flows === undefined
      ? body
      : { ...body, flows: body.flows.map((one: Any) => instructed(version, one)) },
  table_features: (body, version) => ({
    ...body,
    tables: body.tables.map((one: Any) => ({
      ...one,
      config: one.config & 3,
      properties: one.properties.map((property: Any) =>
        version === 5 || !property.type.startsWith('instructions')
          ? property
          : { ...property, ids: property.ids.filter(({ type }: Json) => type !== 'meter') },
      ),
    })),
  }),
};

describe.each([
  ['1.4', 5],
  ['1.5', 6],
] as const)('OpenFlow %s', (_, version) => {
  const through = (send: typeof requested, arbitrary: fc.Arbitrary<Any>, type: string) =>
    fc.assert(
      fc.property(arbitrary, (any) => {
        const message = SAYABLE[type]?.(any, version) ?? any;
        deepStrictEqual(send(ends(version), message), [message]);
      }),
      { numRuns: 60 },
    );

  test.each(cases.filter(([, , type]) => REQUESTS.has(type)))(
    '%s comes to the device',
    (_, arbitrary, type) => through(requested, arbitrary, type),
  );
  test.each(cases.filter(([, , type]) => REPLIES.has(type)))(
    '%s comes to the controller',
    (_, arbitrary, type) => through(answered, arbitrary, type),
  );

  test.each(['table_config', 'table_status', 'transaction'])('%s stays inside a device', (type) => {
    const [bytes] = ends(4).controller.encode({ type, table_id: 1, reason: 3, phase: 0 } as never);
    bytes[0] = version;
    expect(() => ends(version).device.decode(bytes)).toThrow('BAD_REQUEST/BAD_EXP_TYPE');
  });
});

// Recorded messages -----------------------------------------------------------------------------------------

const vectors = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors/os-ken/packet_data');
const have = existsSync(resolve(vectors, 'of14'));
if (!have) console.warn(`no vectors in ${vectors}: set FLOWCELL_SHARED to the folder that has them`);
interface Recorded {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly version: WireVersion;
}
const recorded: Recorded[] = (have ? ['of14', 'of15'] : []).flatMap((folder) =>
  readdirSync(resolve(vectors, folder)).map((name) => {
    const bytes = new Uint8Array(readFileSync(resolve(vectors, folder, name)));
    return { name: name.replace('.packet', ''), bytes, version: bytes[0] as WireVersion };
  }),
);

/** ofp_type of messages that a switch sends; multipart replies and errors are among them. */
const FROM_SWITCH = new Set([1, 3, 6, 8, 10, 11, 12, 19, 21, 25, 27, 30, 31, 32, 35]);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const reading = ({ bytes, version }: Recorded): Message[] => {
  const { device, controller } = ends(version);
  return (FROM_SWITCH.has(bytes[1]) ? controller : device).decode(bytes);
};
const writing = (messages: readonly Message[], { bytes, version }: Recorded): Uint8Array[] => {
  const { device, controller } = ends(version);
  return messages.flatMap((message) => (FROM_SWITCH.has(bytes[1]) ? device : controller).encode(message));
};

/** What 1.3 has no word for at all, and the error that says so. */
const REFUSED: Record<string, RegExp> = {
  '5-22-ofp_port_mod': /property optical .*BAD_PROPERTY\/BAD_TYPE/,
  '5-23-ofp_table_mod': /property experimenter .*BAD_PROPERTY\/BAD_EXPERIMENTER/,
  '5-42-ofp_set_async': /requestforward .*ASYNC_CONFIG_FAILED\/UNSUPPORTED/,
  '5-66-ofp_flow_monitor_request': /flow_monitor .*BAD_MULTIPART/,
  '5-67-ofp_flow_monitor_reply': /flow_monitor .*BAD_MULTIPART/,
  '5-70-ofp_bundle_add_msg': /a message of type 2 .*2310/,
  'libofproto-OFP15-bundle_add': /0x13e04 .*BAD_FIELD/,
  'libofproto-OFP15-bundle_features_reply': /BAD_MULTIPART/,
  'libofproto-OFP15-bundle_features_request': /BAD_MULTIPART/,
  'libofproto-OFP15-controller_status_reply': /BAD_MULTIPART/,
  'libofproto-OFP15-controller_status_request': /BAD_MULTIPART/,
  // Malformed as it was recorded.
  'libofproto-OFP15-flow_desc_reply': /BAD_INSTRUCTION\/BAD_LEN/,
  'libofproto-OFP15-flow_mod': /0x13e04 .*BAD_FIELD/,
  'libofproto-OFP15-flow_mod_conjunction': /0x13e04 .*BAD_FIELD/,
  'libofproto-OFP15-flow_mod_match_conj': /0x14a04 .*BAD_FIELD/,
  'libofproto-OFP15-flow_monitor_reply': /BAD_MULTIPART/,
  'libofproto-OFP15-flow_monitor_request': /BAD_MULTIPART/,
  'libofproto-OFP15-flow_stats_reply': /flow_stats .*BAD_MULTIPART/,
  'libofproto-OFP15-group_mod': /command 3; .*BAD_COMMAND/,
  // Malformed as it was recorded.
  'libofproto-OFP15-meter_features_reply': /BAD_REQUEST\/BAD_LEN/,
  'libofproto-OFP15-packet_in': /0x13e04 .*BAD_FIELD/,
  'libofproto-OFP15-port_mod': /property optical .*BAD_PROPERTY\/BAD_TYPE/,
  'libofproto-OFP15-role_request': /43690 .*ROLE_REQUEST_FAILED\/ID_UNSUP/,
  'libofproto-OFP15-set_async': /requestforward .*ASYNC_CONFIG_FAILED\/UNSUPPORTED/,
  'libofproto-OFP15-table_features_request': /command 1 .*TABLE_FEATURES_FAILED\/BAD_COMMAND/,
};

/** Of these something is left out or filled in: properties, refinements of a reason, filters, missing figures. */
const IN_PART = new Set([
  '5-30-ofp_port_stats_reply',
  '5-36-ofp_queue_stats_reply',
  '5-37-ofp_port_status',
  '5-4-ofp_packet_in',
  '5-41-ofp_get_async_reply',
  '5-52-ofp_port_desc_reply',
  '5-54-ofp_table_features_reply',
  '5-64-ofp_queue_desc_reply',
  '5-65-ofp_role_status',
  '5-68-ofp_table_status',
  'libofproto-OFP15-aggregate_stats_reply',
  'libofproto-OFP15-features_reply',
  'libofproto-OFP15-flow_removed',
  'libofproto-OFP15-flow_stats_request',
  'libofproto-OFP15-get_async_reply',
  'libofproto-OFP15-group_desc_reply',
  'libofproto-OFP15-group_desc_request',
  'libofproto-OFP15-port_desc_reply',
  'libofproto-OFP15-port_desc_request',
  'libofproto-OFP15-port_stats_reply',
  'libofproto-OFP15-port_status',
  'libofproto-OFP15-queue_desc_reply',
  'libofproto-OFP15-queue_desc_request',
  'libofproto-OFP15-queue_stats_reply',
  'libofproto-OFP15-role_reply',
  'libofproto-OFP15-table_features_reply',
  'libofproto-OFP15-table_status',
]);

/** One message of theirs, and another number of 1.3: tests of their own are in translate-v14 and translate-v15. */
const NOT_ONE = /table_desc|requestforward|OFP15-controller_status$/;

test.runIf(have)('there are as many recorded messages as there were', () => {
  expect(recorded.length).toBe(150);
});

test.runIf(have).for(recorded)('$name', (vector) => {
  const { name, bytes } = vector;
  if (REFUSED[name] !== undefined) {
    expect(() => reading(vector)).toThrow(OpenFlowError);
    expect(() => reading(vector)).toThrow(REFUSED[name]);
    return;
  }
  const messages = reading(vector);
  if (NOT_ONE.test(name)) {
    expect(messages.length).not.toBe(1);
    return;
  }
  expect(messages.length).toBe(1);
  const [again] = writing(messages, vector);
  if (IN_PART.has(name)) {
    expect(hex(again)).not.toBe(hex(bytes));
    expect(reading({ ...vector, bytes: again })).toEqual(messages);
  } else {
    expect(hex(again)).toBe(hex(bytes));
  }
});

test.runIf(have)('damaged messages give nothing but an OpenFlowError, or messages', () => {
  const outcomes = { refused: 0, read: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...recorded),
      fc.array(fc.tuple(fc.nat(0xffff), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      (vector, changes) => {
        const bytes = vector.bytes.slice();
        // Version, type and length stay, so that something is left to be read.
        for (const [at, value] of changes) bytes[4 + (at % (bytes.length - 4))] = value;
        let messages: Message[];
        try {
          messages = reading({ ...vector, bytes });
          outcomes.read++;
        } catch (error) {
          if (!(error instanceof OpenFlowError)) throw error;
          outcomes.refused++;
          return;
        }
        try {
          writing(messages, vector);
        } catch (error) {
          // A name that is no UTF-8 any more may have become too long.
          if (!(error instanceof OpenFlowError || error instanceof EncodeError)) throw error;
        }
      },
    ),
    { numRuns: 4000 },
  );
  expect(outcomes.refused).toBeGreaterThan(100);
  expect(outcomes.read).toBeGreaterThan(100);
});
