/** docs/openflow.md says what the code says: names, sections, limits, fields, errors. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MAX_BUNDLES, MAX_BYTES, MAX_MESSAGES } from '../../agent/channel/bundles.ts';
import { ControllerRole, encode, type MessageInit, OpenFlowError } from '../../openflow/index.ts';
import { createDialect, SPOKEN_VERSIONS } from '../../openflow/translate/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import * as v13 from '../../openflow/v13/index.ts';
import * as v14 from '../../openflow/v14/index.ts';
import * as v15 from '../../openflow/v15/index.ts';
import { errorMessageName, versionName } from '../../openflow/versions.ts';
import { FIELDS } from '../../packet/index.ts';
import { NOT_SETTABLE } from '../../sandbox/guest/openflow/actions.ts';
import { tableFeatures } from '../../sandbox/guest/openflow/features.ts';
import {
  MAX_BUCKETS,
  MAX_BUCKETS_OF_GROUP,
  MAX_CHAIN,
  MAX_GROUPS,
} from '../../sandbox/guest/openflow/groups.ts';
import { MAX_BANDS, MAX_METERS } from '../../sandbox/guest/openflow/meters.ts';
import { MAX_ENTRIES } from '../../sandbox/guest/openflow/table.ts';
import { Channel } from '../support/agent-channel.ts';

const page = readFileSync(new URL('../../docs/openflow.md', import.meta.url), 'utf8');
const modules = { 1: v10, 4: v13, 5: v14, 6: v15 } as const;
type Spoken = keyof typeof modules;
const spoken = SPOKEN_VERSIONS as readonly Spoken[];

/** Rows of the table under a heading, without head and rule; cells trimmed. */
function table(heading: string): string[][] {
  const [, after = ''] = page.split(`\n## ${heading}\n`);
  const rows = after
    .split('\n## ')[0]
    .split('\n')
    .filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

interface Declared {
  readonly section: string;
  readonly experimenter?: unknown;
  readonly fields: { readonly body?: { readonly variants: Record<string, { readonly tag: number }> } };
}
const declared = (version: Spoken) =>
  Object.entries(modules[version].messages as unknown as Record<string, Declared>).filter(
    ([, { experimenter }]) => experimenter === undefined,
  );
const isExtension = (name: string) => /^(nx|onf)_/.test(name);

test.each(spoken.map((version, i) => [versionName(version), version, i] as const))(
  'every message of OpenFlow %s is there, with its section',
  (_name, version, i) => {
    const rows = table('Messages').map((row) => [row[0].replaceAll('`', ''), row[1 + i]]);
    const sections = declared(version).map(([name, { section }]) => [name, section]);
    expect(rows.filter(([, section]) => section !== '').sort()).toEqual(sections.sort());
  },
);

test.each(spoken.map((version, i) => [versionName(version), version, i] as const))(
  'every multipart type of OpenFlow %s is there',
  (_name, version, i) => {
    const request = declared(version).find(([name]) => /^(multipart|stats)_request$/.test(name));
    const variants = Object.keys(request?.[1].fields.body?.variants ?? {});
    // Those of experimenters have their own line in the table of what is refused; see `flow` for flow_stats of 1.5.
    const expected = variants.filter(
      (name) => !isExtension(name) && !/^(experimenter|vendor|flow_stats)$/.test(name),
    );
    const rows = table('Multipart').map((row) => row[1 + i].replaceAll('`', ''));
    expect(rows.filter((name) => name !== '').sort()).toEqual(expected.sort());
  },
);

test('match fields, those that cannot be set, and actions', () => {
  const listed = (name: string) =>
    new RegExp(`<!-- ${name} -->(.*)<!-- /${name} -->`).exec(page)?.[1].split(', ');
  expect(listed('fields')).toEqual(FIELDS.map(({ name }) => name));
  expect(listed('not settable')).toEqual([...NOT_SETTABLE]);
  const applied = tableFeatures(0, 1).properties?.find(({ type }) => type === 'apply_actions');
  const actions = applied?.type === 'apply_actions' ? applied.ids.map(({ type }) => type) : [];
  expect(listed('actions')).toEqual(actions);
});

test('limits', () => {
  const limits = {
    ...{ MAX_ENTRIES, MAX_GROUPS, MAX_BUCKETS, MAX_BUCKETS_OF_GROUP, MAX_CHAIN, MAX_METERS, MAX_BANDS },
    ...{ MAX_BUNDLES, MAX_BUNDLE_MESSAGES: MAX_MESSAGES, MAX_BUNDLE_BYTES: MAX_BYTES },
  };
  const rows = table('Limits').map(([what, most]) => [/<!-- (\w+) -->/.exec(what)?.[1], Number(most)]);
  expect(Object.fromEntries(rows)).toEqual(limits);
});

/** The error's name in the version of the connection, as a controller would see it. */
function refusedBy(version: Spoken, bytes: Uint8Array): string {
  const dialect = createDialect(version, { ports: () => [] })!;
  const channel = new Channel();
  const controller = channel.connect(version);
  try {
    for (const message of dialect.decode(bytes)) controller.say(message as MessageInit, bytes);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    controller.refuse(error, bytes);
  }
  const sent = controller.received.find(({ type }) => type === 'error');
  if (sent === undefined) return 'taken';
  const [error] = dialect.encode(sent as MessageInit);
  return errorMessageName(version, modules[version].decode(error) as never);
}

const NO_DATA = new Uint8Array(0);
const frame = new Uint8Array(60);
const of13 = (message: MessageInit) => [4, encode(message)] as const;
const of14 = (message: v14.MessageInit) => [5, v14.encode(message)] as const;
const of15 = (message: v15.MessageInit) => [6, v15.encode(message)] as const;
type Entry15 = Extract<v15.MessageInit, { type: 'flow_mod' }>;
const entry15 = (instructions: Entry15['instructions']) => of15({ type: 'flow_mod', instructions });
const bundled15 = (properties: unknown[]) =>
  of15({ type: 'bundle_control', bundle_id: 1, ctrl_type: 0, flags: 0, properties: properties as never });
const features = (more: object) => ({ table_id: 1, name: '', properties: [], ...more });

/** By the words of the table: a request, and the version that it is in. What only a cell refuses is tested with cells. */
const requests: Record<string, readonly [Spoken, Uint8Array]> = {
  'a packet_out from a port that cannot be': of13({ type: 'packet_out', in_port: 0, data: frame }),
  'reassembly of fragments': of13({ type: 'set_config', flags: 2 }),
  'config bits that a version does not have': of13({
    type: 'port_mod',
    port_no: 1,
    hw_addr: '02:00:00:00:00:01',
    mask: 16,
  }),
  'features to advertise': of13({
    type: 'port_mod',
    port_no: 1,
    hw_addr: '02:00:00:00:00:01',
    advertise: 1,
  }),
  'a multipart request in parts': of13({
    type: 'multipart_request',
    flags: 1,
    body: { type: 'table_features', tables: [] },
  }),
  "another experimenter's message": of13({
    type: 'experimenter',
    experimenter: 1,
    exp_type: 1,
    data: NO_DATA,
  }),
  "another experimenter's statistics": of13({
    type: 'multipart_request',
    body: { type: 'experimenter', experimenter: 1, exp_type: 1 },
  }),
  'an emergency entry': [1, v10.encode({ type: 'flow_mod', match: {}, flags: 4 })],
  'a flow monitor': of14({
    type: 'multipart_request',
    body: { type: 'flow_monitor', monitors: [] } as never,
  }),
  'a synchronised table': of14({
    type: 'multipart_request',
    body: {
      type: 'table_features',
      tables: [features({ properties: [{ type: 'table_sync_from', table_ids: [0] }] })],
    } as never,
  }),
  'asking for requestforward': of14({
    type: 'set_async',
    properties: [{ type: 'requestforward_master', mask: 1 }],
  }),
  'an optical port': of14({
    type: 'port_mod',
    port_no: 1,
    hw_addr: '02:00:00:00:00:01',
    properties: [{ type: 'optical', configure: 0, freq_lmda: 0, fl_offset: 0, grid_span: 0, tx_pwr: 0 }],
  }),
  'a packet_out in a bundle': of14({
    type: 'bundle_add_message',
    xid: 3,
    bundle_id: 1,
    flags: 0,
    message: v14.encode({ type: 'packet_out', xid: 3, data: frame }),
  }),
  'a single bucket inserted': of15({ type: 'group_mod', command: 3, group_id: 1 }),
  copy_field: entry15([
    {
      type: 'apply_actions',
      actions: [{ type: 'copy_field', n_bits: 8, src: 0x80000604, dst: 0x80000804 } as never],
    },
  ]),
  'set_field with a mask': entry15([
    {
      type: 'apply_actions',
      actions: [{ type: 'set_field', field: { eth_dst: ['02:00:00:00:00:00', 'ff:00:00:00:00:00'] } }],
    },
  ]),
  'a meter behind other actions': entry15([
    {
      type: 'apply_actions',
      actions: [
        { type: 'output', port: 1 },
        { type: 'meter', meter_id: 1 },
      ],
    },
  ]),
  stat_trigger: entry15([{ type: 'stat_trigger', flags: 0, thresholds: {} } as never]),
  'a packet type other than Ethernet': of15({ type: 'flow_mod', match: { packet_type: 0x10800 } }),
  'a bundle at a given time': bundled15([{ type: 'time', sched_time: { seconds: 1n, nanoseconds: 0 } }]),
  "a controller's short_id": of15({ type: 'role_request', role: ControllerRole.EQUAL, short_id: 5 }),
  'an egress table': of15({
    type: 'multipart_request',
    body: { type: 'table_features', tables: [features({ command: 0, features: 2 })] } as never,
  }),
};

describe('what is refused', () => {
  const rows = table('Refused');
  test.each(Object.entries(requests))('%s', (what, [version, bytes]) => {
    const row = rows.find((cells) => cells[1] === what);
    expect(row?.[0]).toMatch(new RegExp(`^(all|${versionName(version)})$`));
    expect(refusedBy(version, bytes)).toBe(row?.[2]);
  });

  test('and no other rows but those that need a role, or a cell', () => {
    const others = rows.map((cells) => cells[1]).filter((what) => !(what in requests));
    expect(others).toEqual([
      'a changing request of a slave',
      'a role with an old generation',
      'a buffer_id',
      'output to NORMAL',
    ]);
  });

  test('every error on the page is one of the specification', () => {
    const names = [...page.matchAll(/\b([A-Z]+(?:_[A-Z]+)*_FAILED|BAD_[A-Z]+)\/([A-Z_]+)\b/g)];
    expect(names.length).toBeGreaterThan(30);
    for (const [name, type, code] of names) {
      const known = [v10, v14, v15].some(({ ErrorType }) => type in ErrorType);
      expect([name, known, code.length > 0]).toEqual([name, true, true]);
    }
  });
});

test('the page names every version that is spoken', () => {
  expect(page).toContain(
    spoken
      .map((version) => versionName(version))
      .join(', ')
      .replace(/, ([\d.]+)$/, ' and $1'),
  );
});
