import { createHash } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import {
  type App,
  type CellStatus,
  type ControllerOptions,
  type Datapath,
  defineApp,
  type FlowDecision,
  type FlowQuery,
} from '../../controller/index.ts';
import { CellReason, CellState, DispatchCommand, type Match, type MessageOf } from '../../openflow/index.ts';
import { VirtualTime } from '../../testing/time.ts';
import { Bench, type FakeDevice } from '../support/controller.ts';

const benches: Bench[] = [];

async function start(apps: App[], options: Partial<ControllerOptions> = {}): Promise<Bench> {
  const bench = await Bench.start({ apps, ...options });
  benches.push(bench);
  return bench;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
});

const only = (bench: Bench): Datapath => [...bench.controller.datapaths.values()][0];

const connection = (inPort: number, src: number, dst: number): Match => ({
  in_port: inPort,
  eth_src: `02:00:00:00:00:0${src}`,
  eth_dst: `02:00:00:00:00:0${dst}`,
  eth_type: 0x800,
  ip_proto: 6,
  ipv4_src: `10.0.0.${src}`,
  ipv4_dst: `10.0.0.${dst}`,
  tcp_src: 1000 + src,
  tcp_dst: 1000 + dst,
});

/** Answers every query with a rule for both directions and two entries; remembers what it hears. */
class Answering {
  readonly app: App;
  readonly queries: FlowQuery[] = [];
  readonly statuses: CellStatus[] = [];
  decide: (query: FlowQuery) => FlowDecision | Promise<FlowDecision> = (query) => ({
    match: query.match,
    bothDirections: true,
    entries: [
      { match: { in_port: 1 }, actions: [{ type: 'output', port: 2 }] },
      { match: { in_port: 2 }, actions: [{ type: 'output', port: 1 }] },
    ],
  });

  constructor(name = 'answering') {
    this.app = defineApp({
      name,
      onFlow: (query) => {
        this.queries.push(query);
        return this.decide(query);
      },
      onCellStatus: (_datapath, status) => void this.statuses.push(status),
    });
  }

  states(): string[] {
    return this.statuses.map(({ state }) => state);
  }
}

const commands = (device: FakeDevice): number[] => device.all('dispatch_rule').map(({ command }) => command);

async function open(device: FakeDevice, match: Match, cell: number): Promise<MessageOf<'dispatch_rule'>> {
  device.query(cell, match);
  const rule = await device.next('dispatch_rule');
  device.status(rule, CellState.READY, { cell });
  await device.next('barrier_request');
  await device.settled();
  return rule;
}

test('the life of a flow: query, rule, cell ready, entries for that cell, barrier, live', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  const match = connection(1, 1, 2);
  device.query(41, match, { data: new Uint8Array([1, 2, 3]), total_len: 1500, tenant: 9 });
  const rule = await device.next('dispatch_rule');
  expect(rule).toMatchObject({
    command: DispatchCommand.ADD,
    query_id: 41,
    match,
    flags: 7,
    tenant: 9,
    priority: 100,
    idle_timeout: 30,
    cells: [{ program: '0'.repeat(64), memory_mib: 16, run_ms: 50 }],
  });
  expect(answering.queries[0]).toMatchObject({ inPort: 1, totalLength: 1500, reason: 'no_match', tenant: 9 });
  expect([...answering.queries[0].data]).toEqual([1, 2, 3]);
  expect(device.all('flow_mod')).toEqual([]);

  device.status(rule, CellState.READY, { cell: 7 });
  await device.next('barrier_request');
  expect(device.all('flow_mod').map(({ match, cookie }) => [match, cookie])).toEqual([
    [{ in_port: 1, cell: 7 }, rule.cookie],
    [{ in_port: 2, cell: 7 }, rule.cookie],
  ]);
  await device.settled();
  const record = only(bench).cells.get(7);
  expect(record).toMatchObject({ stage: 'live', app: 'answering', cell: 7, match, setupUs: 40 });
  expect(answering.states()).toEqual(['ready']);
  expect(bench.controller.setup.quantiles().count).toBe(1);

  device.status(rule, CellState.REMOVED, { cell: 7, reason: CellReason.IDLE_TIMEOUT, packet_count: 12n });
  await device.settled();
  expect(answering.statuses[1]).toMatchObject({
    state: 'removed',
    reason: 'idle_timeout',
    packetCount: 12n,
    record,
  });
  expect(only(bench).cells.size).toBe(0);
  expect(only(bench).rules.size).toBe(0);
});

test('a second query for a flow in progress, or for its other direction, gives no second rule', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  device.query(2, connection(1, 1, 2));
  device.query(3, connection(2, 2, 1));
  await device.settled();
  expect(commands(device)).toEqual([DispatchCommand.ADD]);
  expect(answering.queries.length).toBe(1);
  expect(bench.controller.counters.queries_duplicate).toBe(2);
});

test('equal flows of two tenants are two flows', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2), { tenant: 1 });
  device.query(2, connection(1, 1, 2), { tenant: 2 });
  await device.settled();
  expect(device.all('dispatch_rule').map(({ tenant }) => tenant)).toEqual([1, 2]);
});

test('queries of different flows that lead to one rule give one rule', async () => {
  const answering = new Answering();
  answering.decide = ({ inPort }) => ({ match: { in_port: inPort }, entries: [] });
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  device.query(2, connection(1, 1, 3));
  await device.settled();
  expect(commands(device)).toEqual([DispatchCommand.ADD]);
});

test('once a cell is live a new query for its flow is answered again', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  await open(device, connection(1, 1, 2), 7);
  device.query(9, connection(1, 1, 2), { reason: 1 });
  expect(await device.next('dispatch_rule')).toMatchObject({ query_id: 9 });
  expect(answering.queries[1].reason).toBe('cell_ended');
});

test('apps are asked in order; null goes to the next, and nobody means refused', async () => {
  const first = new Answering('first');
  const second = new Answering('second');
  first.decide = ({ inPort }) => (inPort === 1 ? { refuse: true } : null);
  second.decide = ({ inPort, match }) => (inPort === 2 ? { match, entries: [] } : undefined);
  const bench = await start([first.app, { name: 'deaf' }, second.app]);
  const device = await bench.device();
  for (const port of [1, 2, 3]) device.query(port, connection(port, 1, 2));
  await device.settled();
  expect(device.all('dispatch_rule').map(({ command, query_id }) => [command, query_id])).toEqual([
    [DispatchCommand.REFUSE, 1],
    [DispatchCommand.ADD, 2],
    [DispatchCommand.REFUSE, 3],
  ]);
  expect(second.queries.length).toBe(2);
});

test('an app that throws, rejects or answers nonsense is logged by name and hurts nobody', async () => {
  const bad = new Answering('bad');
  const good = new Answering('good');
  bad.decide = ({ inPort }) => {
    if (inPort === 1) throw new Error('broken');
    if (inPort === 2) return Promise.reject(new Error('broken later'));
    return { match: { eth_type: -5 }, entries: [] };
  };
  const bench = await start([bad.app, good.app]);
  const device = await bench.device();
  for (const port of [1, 2, 3]) device.query(port, connection(port, port, 9));
  await device.next('dispatch_rule').then(() => device.next('dispatch_rule'));
  await device.settled();
  const rules = device.all('dispatch_rule');
  const byQuery = new Map(rules.map(({ query_id, command }) => [query_id, command]));
  expect([byQuery.get(1), byQuery.get(2), byQuery.get(3)]).toEqual([
    DispatchCommand.ADD,
    DispatchCommand.ADD,
    DispatchCommand.REFUSE,
  ]);
  expect(bench.controller.appErrors.get('bad')).toBe(3);
  expect(bench.log.lines.filter(({ fields }) => fields.app === 'bad').length).toBeGreaterThan(0);
});

test('a slow answer holds up nobody', async () => {
  const answering = new Answering();
  const slow = Promise.withResolvers<FlowDecision>();
  const { decide } = answering;
  answering.decide = (query) => (query.inPort === 1 ? slow.promise : decide(query));
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  device.query(2, connection(3, 3, 4));
  expect(await device.next('dispatch_rule')).toMatchObject({ query_id: 2 });
  device.query(5, connection(1, 1, 2));
  await device.settled();
  slow.resolve({ match: connection(1, 1, 2), entries: [] });
  // The newest query gets the answer: the device may have forgotten the older one.
  expect(await device.next('dispatch_rule')).toMatchObject({ query_id: 5 });
  expect(answering.queries.length).toBe(2);
});

test('no answer in time is a refusal, and a late answer is not sent', async () => {
  const answering = new Answering();
  const slow = Promise.withResolvers<FlowDecision>();
  answering.decide = () => slow.promise;
  const bench = await start([answering.app], { limits: { appAnswerMs: 40 } });
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.REFUSE, query_id: 1 });
  slow.resolve({ match: connection(1, 1, 2), entries: [] });
  await device.settled();
  expect(commands(device)).toEqual([DispatchCommand.REFUSE]);
  expect(bench.controller.counters.app_timeouts).toBe(1);
  expect(bench.log.codes()).toContain('FC_APP_TIMEOUT');
});

test('a cell that cannot be opened: logged, refused with everything that waited for it, app told', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  device.query(2, connection(2, 2, 1));
  const rule = await device.next('dispatch_rule');
  device.status(rule, CellState.FAILED, { reason: CellReason.NO_RESOURCES });
  await device.settled();
  const refused = device.all('dispatch_rule').filter(({ command }) => command === DispatchCommand.REFUSE);
  expect(refused.map(({ query_id }) => query_id)).toEqual([1, 2]);
  expect(answering.statuses[0]).toMatchObject({ state: 'failed', reason: 'no_resources' });
  expect(only(bench).rules.size).toBe(0);
  device.query(3, connection(1, 1, 2));
  expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.ADD, query_id: 3 });
});

test('a device that never reports the cell ready: the rule is taken back', async () => {
  const answering = new Answering();
  const bench = await start([answering.app], { limits: { cellReadyMs: 40 } });
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  const rule = await device.next('dispatch_rule');
  expect(await device.next('dispatch_rule')).toMatchObject({
    command: DispatchCommand.DELETE_STRICT,
    match: rule.match,
    priority: rule.priority,
  });
  expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.REFUSE, query_id: 1 });
  expect(answering.states()).toEqual(['failed']);
});

test('an OpenFlow error for the rule is a failure of that flow only', async () => {
  const answering = new Answering();
  const errors: unknown[] = [];
  answering.app.onError = (_datapath, error) => void errors.push(error.code);
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  device.query(2, connection(1, 3, 4));
  const rule = await device.next('dispatch_rule');
  device.send({ type: 'error', xid: rule.xid, error_type: 4, code: 9, data: new Uint8Array(64) });
  await device.settled();
  expect([...only(bench).rules.values()].map(({ match }) => match.ipv4_src)).toEqual(['10.0.0.3']);
  expect(errors).toEqual(['FC_RULE_REFUSED']);
  expect(answering.states()).toEqual(['failed']);
});

test('a refused entry: app told, the rule taken back at the barrier', async () => {
  const answering = new Answering();
  const errors: unknown[] = [];
  answering.app.onError = (_datapath, error, cell) => void errors.push([error.code, cell?.cell]);
  const bench = await start([answering.app]);
  const device = await bench.device({ barriers: false });
  device.query(1, connection(1, 1, 2));
  const rule = await device.next('dispatch_rule');
  device.status(rule, CellState.READY, { cell: 7 });
  const entry = await device.next('flow_mod');
  const barrier = await device.next('barrier_request');
  device.send(
    { type: 'error', xid: entry.xid, error_type: 2, code: 4, data: new Uint8Array(64) },
    { type: 'barrier_reply', xid: barrier.xid },
  );
  expect(await device.next('dispatch_rule')).toMatchObject({
    command: DispatchCommand.DELETE_STRICT,
    match: rule.match,
  });
  expect(errors).toEqual([['FC_RULE_REFUSED', 7]]);
  expect(bench.controller.counters.entries_failed).toBe(1);
});

test('a cell that the device starts again after its host died: live again, its entries not sent twice', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  const rule = await open(device, connection(1, 1, 2), 7);
  device.status(rule, CellState.EXITED, { cell: 7, reason: CellReason.HOST_DIED });
  await device.settled();
  expect(only(bench).cells.size).toBe(0);
  device.status(rule, CellState.READY, { cell: 8, query_id: 0 });
  await device.settled();
  expect(answering.states()).toEqual(['ready', 'exited', 'ready']);
  expect(device.all('flow_mod').map(({ match }) => match.cell)).toEqual([7, 7]);
  expect(only(bench).cells.get(8)).toMatchObject({ stage: 'live', cookie: rule.cookie });
  expect(bench.controller.counters.cells_restarted).toBe(1);
});

test('killed: the app is told; the flow asks again and gets a new rule with its entries', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  const rule = await open(device, connection(1, 1, 2), 7);
  device.status(rule, CellState.KILLED, { cell: 7, reason: CellReason.CPU });
  device.query(9, connection(2, 2, 1), { reason: 1 });
  const again = await device.next('dispatch_rule');
  device.status(again, CellState.READY, { cell: 8 });
  await device.next('barrier_request');
  await device.settled();
  expect(answering.states()).toEqual(['ready', 'killed', 'ready']);
  expect(device.all('flow_mod').map(({ match }) => match.cell)).toEqual([7, 7, 8, 8]);
  expect(only(bench).cells.get(8)?.stage).toBe('live');
});

test('a rule whose place an equal one has taken is not deleted on the device: that would end the new one', async () => {
  const bench = await start([new Answering().app]);
  const device = await bench.device();
  const first = await open(device, connection(1, 1, 2), 7);
  const second = await open(device, connection(1, 1, 2), 8);
  expect(only(bench).removeRule(first.cookie)).toBe(true);
  await device.settled();
  expect(commands(device)).toEqual([DispatchCommand.ADD, DispatchCommand.ADD]);
  expect(only(bench).removeRule(second.cookie)).toBe(true);
  expect((await device.next('dispatch_rule')).command).toBe(DispatchCommand.DELETE_STRICT);
});

test('exited and not started again: the record goes, and the app hears of its end', async () => {
  const answering = new Answering();
  const time = new VirtualTime();
  const bench = await start([answering.app], { time, limits: { cellReadyMs: 40 } });
  const device = await bench.device();
  const rule = await open(device, connection(1, 1, 2), 7);
  const removed = Promise.withResolvers<void>();
  answering.app.onCellStatus = (_datapath, { state }) => {
    if (state === 'removed') removed.resolve();
  };
  device.status(rule, CellState.EXITED, { cell: 7, reason: CellReason.EXCEPTION, detail: 'oops' });
  await device.settled();
  const until = time.now() + 100;
  while (time.step(until));
  await removed.promise;
  expect(only(bench).rules.size).toBe(0);
});

test('a rule taken back in progress is deleted, and its late ready is ignored', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  device.query(1, connection(1, 1, 2));
  const rule = await device.next('dispatch_rule');
  expect(only(bench).removeRule(rule.cookie)).toBe(true);
  expect(only(bench).removeRule(rule.cookie)).toBe(false);
  expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.DELETE_STRICT });
  device.status(rule, CellState.READY, { cell: 7 });
  device.status(rule, CellState.REMOVED, { cell: 7, reason: CellReason.DELETE });
  await device.settled();
  expect(device.all('flow_mod')).toEqual([]);
  expect(only(bench).rules.size).toBe(0);
  expect(answering.states()).toEqual(['removed']);
});

test('more flows in progress than the limit are refused', async () => {
  const answering = new Answering();
  const bench = await start([answering.app], { limits: { maxPendingFlows: 2 } });
  const device = await bench.device();
  for (const src of [1, 3, 5]) device.query(src, connection(1, src, 9));
  await device.settled();
  expect(commands(device)).toEqual([DispatchCommand.ADD, DispatchCommand.ADD, DispatchCommand.REFUSE]);
  expect(bench.controller.counters.queries_over_limit).toBe(1);
});

test('cells that outlived the controller are adopted with their entries, empty ones taken back', async () => {
  const before = new Answering();
  const first = await start([before.app]);
  const device = await first.device();
  const whole = await open(device, connection(1, 1, 2), 7);
  const empty = await open(device, connection(1, 3, 4), 8);
  await first.controller.stop();

  const answering = new Answering();
  const told = Promise.withResolvers<CellStatus>();
  answering.app.onCellStatus = (_datapath, status) => told.resolve(status);
  const second = await start([{ name: 'other' }, answering.app]);
  const cells = [whole, empty].map((rule, i) => ({
    type: 'cell_status' as const,
    state: CellState.READY,
    cookie: rule.cookie,
    priority: rule.priority,
    match: rule.match,
    cell: 7 + i,
  }));
  const entry = { type: 'flow_mod' as const, priority: 3, match: { in_port: 1, cell: 7 } };
  const again = await second.device({ cells, entries: new Map([[7, [entry]]]) });
  const status = await told.promise;
  expect(status).toMatchObject({ state: 'ready', record: { adopted: true, cell: 7, app: 'answering' } });
  expect(status.record.entries).toMatchObject([{ priority: 3, match: { in_port: 1 } }]);
  expect(await again.next('dispatch_rule')).toMatchObject({
    command: DispatchCommand.DELETE_STRICT,
    match: empty.match,
  });
  expect(second.controller.counters).toMatchObject({ cells_adopted: 2, cells_incomplete: 1 });
});

test("packets from a cell go to the cell's app, others to all", async () => {
  const heard: string[] = [];
  const answering = new Answering();
  answering.app.onPacketIn = (_datapath, { data }) => void heard.push(`answering ${data.length}`);
  const other: App = { name: 'other', onPacketIn: (_d, { data }) => void heard.push(`other ${data.length}`) };
  const bench = await start([answering.app, other]);
  const device = await bench.device();
  await open(device, connection(1, 1, 2), 7);
  const packetIn = (match: Match, length: number) =>
    device.send({ type: 'packet_in', total_len: length, reason: 0, match, data: new Uint8Array(length) });
  packetIn({ in_port: 1, cell: 7 }, 20);
  packetIn({ in_port: 1 }, 30);
  await device.settled();
  expect(heard).toEqual(['answering 20', 'answering 30', 'other 30']);
});

test('programs are uploaded in pieces, once per content, and cells name them', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  const code = 'x'.repeat(70_000);
  const hash = createHash('sha256').update(code).digest('hex');
  const datapath = only(bench);
  const uploads = [1, 2].map(() => datapath.uploadProgram({ name: 'limiter', code }));
  const pieces = [await device.next('program'), await device.next('program'), await device.next('program')];
  expect(pieces.map(({ offset, data, total_len }) => [offset, data.length, total_len])).toEqual([
    [0, 32768, 70000],
    [32768, 32768, 70000],
    [65536, 4464, 70000],
  ]);
  device.send({ type: 'program_reply', xid: pieces[2].xid, hash, state: 0 });
  expect(await Promise.all(uploads)).toEqual([hash, hash]);
  expect(await datapath.uploadProgram({ name: 'limiter', code })).toBe(hash);
  expect(device.all('program').length).toBe(3);

  answering.decide = ({ match }) => ({ match, cells: [{ program: 'limiter', memoryMiB: 32 }], entries: [] });
  device.query(1, connection(1, 1, 2));
  expect((await device.next('dispatch_rule')).cells).toEqual([{ program: hash, memory_mib: 32, run_ms: 50 }]);
});

test('a program the device refuses, and one it does not have', async () => {
  const answering = new Answering();
  const bench = await start([answering.app]);
  const device = await bench.device();
  const upload = only(bench).uploadProgram({ name: 'big', code: 'y' });
  const { xid, hash } = await device.next('program');
  device.send({ type: 'program_reply', xid, hash, state: 2 });
  await expect(upload).rejects.toMatchObject({ code: 'FC_PROGRAM_REFUSED' });
  answering.decide = ({ match }) => ({ match, cells: [{ program: 'big' }], entries: [] });
  device.query(1, connection(1, 1, 2));
  expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.REFUSE });
  expect(bench.log.codes()).toContain('FC_PROGRAM_UNKNOWN');
});

test('the device goes in the middle of everything: no app answer is sent to nobody, apps are told', async () => {
  const answering = new Answering();
  const slow = Promise.withResolvers<FlowDecision>();
  answering.decide = () => slow.promise;
  const gone = Promise.withResolvers<string>();
  answering.app.onDatapathGone = (datapath) => gone.resolve(datapath.name);
  const bench = await start([answering.app]);
  const device = await bench.device({ id: 3n });
  device.query(1, connection(1, 1, 2));
  await device.settled();
  await device.end();
  expect(await gone.promise).toBe('0000000000000003');
  slow.resolve({ match: connection(1, 1, 2), entries: [] });
  await slow.promise;
  expect(bench.controller.counters.rules_sent).toBe(0);
  expect(bench.log.codes()).not.toContain('FC_INTERNAL');
});

test('a name twice, a bad name and a handler that is no function are refused at the start', async () => {
  await expect(Bench.start({ apps: [{ name: 'a' }, { name: 'a' }] })).rejects.toMatchObject({
    code: 'FC_APP_NAME_TAKEN',
  });
  expect(() => defineApp({ name: 'Not Good' })).toThrow(/needs a name/);
  expect(() => defineApp({ name: 'x', onFlow: 5 as never })).toThrow(/onFlow must be a function/);
});
