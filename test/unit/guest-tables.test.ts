/** What a cell knows of its tables: features, eviction, vacancy, and what OpenFlow 1.0 does with a miss. */
import { describe, expect, it } from 'vitest';
import {
  BadInstructionCode,
  ErrorType,
  FLOWCELL_EXPERIMENTER,
  FlowModFailedCode,
  FlowModFlag,
  type InstructionInit,
  type Match,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  oxmHeader,
  PacketInReason,
  TableConfigFlag,
  TableFeaturesFailedCode,
  TableModFailedCode,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const harnessOf = (maxEntries: number) => new GuestHarness(new OpenFlowProgram(undefined, maxEntries));
const portMatch = (udp_dst: number): Match => ({ eth_type: 0x0800, ip_proto: 17, udp_dst });
const importance = (value: number): InstructionInit => ({
  type: 'experimenter',
  experimenter: FLOWCELL_EXPERIMENTER,
  data: Uint8Array.of(value >> 8, value, 0, 0, 0, 0, 0, 0),
});
const entry = (cookie: number, init: Partial<MessageInitOf<'flow_mod'>> = {}): MessageInitOf<'flow_mod'> => ({
  type: 'flow_mod',
  cookie: BigInt(cookie),
  match: portMatch(cookie),
  flags: FlowModFlag.SEND_FLOW_REM,
  ...init,
});
const config = (init: Partial<MessageInitOf<'table_config'>>): MessageInitOf<'table_config'> => ({
  type: 'table_config',
  table_id: 0,
  ...init,
});
const frame = (dst: number) =>
  ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp({ dst }) }) });

function ask(harness: GuestHarness, ...messages: MessageInit[]): void {
  expect(harness.ask(...messages)).toEqual([]);
}

function expectError(answers: Message[], type: number, code: number): void {
  expect(answers.map((answer) => answer.type === 'error' && [answer.error_type, answer.code])).toEqual([
    [type, code],
  ]);
}

function flows(harness: GuestHarness) {
  return harness.ask({ type: 'multipart_request', body: { type: 'flow' } }).flatMap((answer) => {
    if (answer.type !== 'multipart_reply' || answer.body.type !== 'flow') throw new Error('no flows');
    return answer.body.flows;
  });
}

describe('a full table', () => {
  const EVICTION = 5;
  const evicting = (eviction_flags: number) => config({ flags: TableConfigFlag.EVICTION, eviction_flags });
  const evicted = (answers: Message[]) =>
    answers.map((one) => [
      one.type,
      Number((one as MessageOf<'flow_removed'>).cookie),
      (one as { reason: number }).reason,
    ]);

  it('refuses entries, unless they take the place of one', () => {
    const harness = harnessOf(2);
    ask(harness, entry(1), entry(2));
    expectError(harness.ask(entry(3)), ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.TABLE_FULL);
    ask(harness, entry(2));
  });

  it('evicts the entry of least importance, then of least lifetime, then the one unused for longest', () => {
    const harness = harnessOf(3);
    ask(harness, evicting(0));
    ask(harness, entry(1, { instructions: [importance(5)] }));
    ask(harness, entry(2, { instructions: [importance(9)] }));
    ask(harness, entry(3, { instructions: [importance(0x0105)] }));
    expect(evicted(harness.ask(entry(4, { instructions: [importance(7)] })))).toEqual([
      ['flow_removed', 1, EVICTION],
    ]);
    expect(evicted(harness.ask(entry(5, { hard_timeout: 9, instructions: [importance(7)] })))).toEqual([
      ['flow_removed', 4, EVICTION],
    ]);
    expect(flows(harness).map(({ cookie }) => Number(cookie))).toEqual([2, 3, 5]);
  });

  it('goes by what the flags say', () => {
    const LIFETIME = 4;
    const harness = harnessOf(2);
    ask(harness, evicting(LIFETIME));
    ask(harness, entry(1, { idle_timeout: 5, instructions: [importance(9)] }), entry(2));
    expect(evicted(harness.ask(entry(3)))).toEqual([['flow_removed', 1, EVICTION]]);
    harness.now = 1000;
    harness.send(frame(2));
    expect(evicted(harness.ask(entry(4)))).toEqual([['flow_removed', 3, EVICTION]]);
  });

  it('evicts nothing more important than what comes, and nothing from other tables', () => {
    const harness = harnessOf(2);
    ask(harness, config({ table_id: 255, flags: TableConfigFlag.EVICTION }));
    ask(harness, entry(1, { instructions: [importance(3)] }), entry(2, { instructions: [importance(3)] }));
    const full = [ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.TABLE_FULL] as const;
    expectError(harness.ask(entry(3, { instructions: [importance(2)] })), ...full);
    expectError(harness.ask(entry(3, { table_id: 1, instructions: [importance(4)] })), ...full);
    expect(flows(harness)).toHaveLength(2);
  });

  it('importance is settled when an entry is added', () => {
    const harness = harnessOf(8);
    ask(harness, entry(1, { instructions: [importance(5)] }));
    const actions: InstructionInit[] = [{ type: 'apply_actions', actions: [{ type: 'output', port: 2 }] }];
    ask(harness, { type: 'flow_mod', command: 1, match: {}, instructions: [...actions, importance(8)] });
    expect(flows(harness)).toMatchObject([{ instructions: [...actions, importance(5)] }]);
  });
});

describe('vacancy', () => {
  const DOWN = 3;
  const UP = 4;
  const watching = config({
    table_id: 7,
    flags: TableConfigFlag.VACANCY_EVENTS,
    vacancy_down: 30,
    vacancy_up: 60,
  });

  it('is told when it falls below one limit, and again only after it rose above the other', () => {
    const harness = harnessOf(10);
    ask(harness, watching);
    const events: unknown[] = [];
    const note = (answers: Message[]) => {
      for (const one of answers) if (one.type === 'table_status') events.push([one.reason, one.vacancy]);
    };
    const add = (n: number) => note(harness.ask(entry(n, { flags: 0 })));
    const remove = (n: number) => note(harness.ask(entry(n, { command: 4, priority: 0x8000, flags: 0 })));
    for (let n = 1; n <= 7; n++) add(n);
    expect(events).toEqual([]);
    add(8);
    expect(events).toEqual([[DOWN, 20]]);
    remove(8);
    add(8);
    add(9);
    expect(events).toHaveLength(1);
    for (let n = 1; n <= 6; n++) remove(n);
    expect(events).toEqual([
      [DOWN, 20],
      [UP, 70],
    ]);
    for (let n = 1; n <= 5; n++) add(n);
    expect(events).toHaveLength(3);
  });

  it('is told when entries time out', () => {
    const harness = harnessOf(2);
    ask(harness, watching);
    ask(harness, entry(1, { hard_timeout: 1, flags: 0 }));
    expect(harness.ask(entry(2, { hard_timeout: 1, flags: 0 }))).toMatchObject([
      { type: 'table_status', reason: DOWN },
    ]);
    harness.now = 1000;
    harness.run();
    expect(harness.messages()).toEqual([
      {
        type: 'table_status',
        xid: 0,
        table_id: 7,
        reason: UP,
        vacancy_down: 30,
        vacancy_up: 60,
        vacancy: 100,
      },
    ]);
  });
});

describe('table_config', () => {
  it('answers queries with what is in force, per table', () => {
    const harness = harnessOf(4);
    ask(harness, entry(1));
    const flags = TableConfigFlag.EVICTION | TableConfigFlag.MISS_TO_CONTROLLER;
    const set = { table_id: 3, flags, vacancy_down: 1, vacancy_up: 2, eviction_flags: 6 };
    ask(harness, config(set));
    const query = (table_id: number) =>
      harness.ask(config({ table_id, xid: 12, flags: TableConfigFlag.QUERY }));
    expect(query(3)).toEqual([{ type: 'table_config', xid: 12, vacancy: 75, ...set }]);
    const all = query(255);
    expect(all).toHaveLength(254);
    expect(all[3]).toEqual(query(3)[0]);
    expect(all[4]).toMatchObject({ table_id: 4, flags: 0, vacancy: 75 });
  });

  it.each([
    ['a table that there is not', { table_id: 254 }, TableModFailedCode.BAD_TABLE],
    ['unknown flags', { flags: 2 }, TableModFailedCode.BAD_CONFIG],
    ['limits the wrong way round', { vacancy_down: 3, vacancy_up: 2 }, TableModFailedCode.BAD_CONFIG],
    ['more than all', { vacancy_up: 101 }, TableModFailedCode.BAD_CONFIG],
  ])('refuses %s', (_, init, code) => {
    expectError(harnessOf(4).ask(config(init)), ErrorType.TABLE_MOD_FAILED, code);
  });

  it('sends what matches nothing to the controller, if it is told to', () => {
    const harness = harnessOf(4);
    expect(harness.send(frame(1))).toEqual([]);
    ask(harness, config({ table_id: 0, flags: TableConfigFlag.MISS_TO_CONTROLLER }));
    const miss = {
      kind: 'controller',
      port: PacketInReason.NO_MATCH,
      tableId: 0,
      cookie: 2n ** 64n - 1n,
    };
    expect(harness.send(frame(1))).toMatchObject([miss]);
    ask(harness, entry(1, { instructions: [{ type: 'goto_table', table_id: 1 }] }));
    expect(harness.send(frame(1))).toEqual([]);
    ask(harness, config({ table_id: 0 }));
    expect(harness.send(frame(2))).toEqual([]);
  });
});

it('takes TABLE_MOD, whose bits mean nothing any more', () => {
  const harness = harnessOf(4);
  ask(harness, { type: 'table_mod', table_id: 255, config: 3 }, { type: 'table_mod', table_id: 9 });
  const bad = (table_id: number, config: number) => harness.ask({ type: 'table_mod', table_id, config });
  expectError(bad(254, 0), ErrorType.TABLE_MOD_FAILED, TableModFailedCode.BAD_TABLE);
  expectError(bad(0, 4), ErrorType.TABLE_MOD_FAILED, TableModFailedCode.BAD_CONFIG);
});

it('refuses an entry whose statistics would fit no message, and goes on', () => {
  const harness = harnessOf(4);
  const actions = Array.from({ length: 4090 }, () => ({ type: 'output', port: 1 }) as const);
  const long = entry(1, { instructions: [{ type: 'apply_actions', actions }] });
  expectError(harness.ask(long), ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.UNKNOWN);
  const shorter = entry(1, { instructions: [{ type: 'apply_actions', actions: actions.slice(10) }] });
  ask(harness, shorter);
  expect(flows(harness)).toMatchObject([{ cookie: 1n }]);
});

describe('table features', () => {
  function features(harness: GuestHarness) {
    return harness.ask({ type: 'multipart_request', body: { type: 'table_features' } }).flatMap((answer) => {
      if (answer.type !== 'multipart_reply' || answer.body.type !== 'table_features') throw new Error('none');
      return answer.body.tables;
    });
  }

  it('describes 254 tables in several replies', () => {
    const harness = new GuestHarness();
    const answers = harness.ask({ type: 'multipart_request', xid: 8, body: { type: 'table_features' } });
    const more = answers.map(
      (answer) => answer.type === 'multipart_reply' && answer.xid === 8 && answer.flags,
    );
    expect(more).toEqual([...Array(15).fill(1), 0]);
    const tables = features(harness);
    expect(tables.map(({ table_id }) => table_id)).toEqual(Array.from({ length: 254 }, (_, id) => id));
    expect(tables[0]).toMatchObject({ max_entries: 65536, metadata_match: 2n ** 64n - 1n, config: 0 });
  });

  it('says of a table what an entry in it may have', () => {
    const tables = features(new GuestHarness());
    const property = <T extends string>(table: number, type: T) => {
      const found = tables[table].properties.find((one) => one.type === type);
      return found as Extract<typeof found, { type: T }>;
    };
    expect(property(250, 'next_tables').table_ids).toEqual([251, 252, 253]);
    expect(property(253, 'next_tables').table_ids).toEqual([]);
    expect(property(0, 'instructions').ids.map(({ type }) => type)).toContain('goto_table');
    expect(property(253, 'instructions').ids.map(({ type }) => type)).not.toContain('goto_table');
    expect(property(0, 'match').oxm_ids).toHaveLength(40);
    expect(property(0, 'match').oxm_ids).toContain(oxmHeader('ipv6_dst', true));
    expect(property(0, 'wildcards').oxm_ids).toContain(oxmHeader('ipv6_dst'));
    expect(property(0, 'apply_setfield').oxm_ids).not.toContain(oxmHeader('in_port'));
    // What is said to be settable is not refused as something that cannot be set.
    const harness = new GuestHarness();
    const settable = new Set(property(0, 'apply_setfield').oxm_ids);
    for (const [name, value] of [['eth_src', '02:00:00:00:00:09'] as const, ['tunnel_id', 4n] as const]) {
      expect(settable.has(oxmHeader(name))).toBe(true);
      const field = { [name]: value } as never;
      ask(harness, {
        type: 'flow_mod',
        instructions: [{ type: 'apply_actions', actions: [{ type: 'set_field', field }] }],
      });
    }
  });

  it('does not let them be changed', () => {
    const harness = new GuestHarness();
    const [table] = features(harness);
    const answers = harness.ask({
      type: 'multipart_request',
      body: { type: 'table_features', tables: [table] },
    });
    expectError(answers, ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.EPERM);
  });
});

it('an unknown experimenter instruction, or one of the wrong length, is refused', () => {
  const harness = new GuestHarness();
  const of = (experimenter: number, length: number): InstructionInit[] => [
    { type: 'experimenter', experimenter, data: new Uint8Array(length) },
  ];
  const { BAD_INSTRUCTION } = ErrorType;
  expectError(
    harness.ask(entry(1, { instructions: of(5, 8) })),
    BAD_INSTRUCTION,
    BadInstructionCode.BAD_EXPERIMENTER,
  );
  expectError(
    harness.ask(entry(1, { instructions: of(FLOWCELL_EXPERIMENTER, 16) })),
    BAD_INSTRUCTION,
    BadInstructionCode.BAD_LEN,
  );
  expect(flows(harness)).toEqual([]);
});
