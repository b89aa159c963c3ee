/** Devices that name the cell in the query: rule, entries and barrier go out together. */
import { afterEach, expect, test } from 'vitest';
import { defineApp, type FlowcellError } from '../../controller/index.ts';
import { CellReason, CellState, DispatchQueryFlag, decode, type MessageOf } from '../../openflow/index.ts';
import { Bench, type FakeDevice } from '../support/controller.ts';

const benches: Bench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
});

const errors: FlowcellError[] = [];
const states: string[] = [];
const app = defineApp({
  name: 'answering',
  onFlow: (query) => ({
    match: query.match,
    entries: [{ match: { in_port: 1 }, actions: [{ type: 'output', port: 2 }] }],
  }),
  onCellStatus: (_datapath, { state }) => void states.push(state),
  onError: (_datapath, error) => void errors.push(error),
});

/** A query was asked, and what is to come at once has come. */
async function ask(queryId: number) {
  errors.length = 0;
  states.length = 0;
  const bench = await Bench.start({ apps: [app] });
  benches.push(bench);
  const device = await bench.device();
  device.query(queryId, { in_port: 1 }, { flags: DispatchQueryFlag.NUMBERED });
  const rule = await device.next('dispatch_rule');
  const entry = await device.next('flow_mod');
  const barrier = await device.next('cell_message');
  const datapath = [...bench.controller.datapaths.values()][0];
  return { device, rule, entry, barrier, datapath };
}

const answerBarrier = (device: FakeDevice, { message }: MessageOf<'cell_message'>) => {
  const inside = decode(message);
  expect(inside.type).toBe('barrier_request');
  device.send({ type: 'barrier_reply', xid: inside.xid });
};

test('entries and a barrier for the cell of the query follow the rule at once, and are not sent again', async () => {
  const { device, rule, entry, barrier, datapath } = await ask(41);
  expect(entry).toMatchObject({ match: { in_port: 1, cell: 41 }, cookie: rule.cookie });
  expect(barrier.cell).toBe(41);
  device.status(rule, CellState.READY, { cell: 41 });
  await device.settled();
  expect(datapath.cells.get(41)?.stage).toBe('pushing');
  answerBarrier(device, barrier);
  await device.settled();
  expect(datapath.cells.get(41)?.stage).toBe('live');
  expect([device.all('flow_mod').length, device.all('cell_message').length]).toEqual([1, 1]);
  expect(states).toEqual(['ready']);
});

test('a cell that has another number after all gets its entries', async () => {
  const { device, rule, entry, barrier, datapath } = await ask(41);
  device.status(rule, CellState.READY, { cell: 50 });
  const error = { type: 'error' as const, error_type: 5, code: 0, data: new Uint8Array(64) };
  device.send({ ...error, xid: entry.xid }, { ...error, error_type: 4, xid: barrier.xid });
  const again = await device.next('flow_mod');
  expect(again.match).toEqual({ in_port: 1, cell: 50 });
  answerBarrier(device, await device.next('cell_message'));
  await device.settled();
  expect(datapath.cells.get(50)?.stage).toBe('live');
});

test('a rule that fails: what was sent behind it is refused, and that is nobody else’s news', async () => {
  const { device, rule, entry, barrier, datapath } = await ask(41);
  device.status(rule, CellState.FAILED, { reason: CellReason.NO_RESOURCES });
  const error = { type: 'error' as const, error_type: 5, code: 0, data: new Uint8Array(64) };
  device.send({ ...error, xid: entry.xid }, { ...error, error_type: 4, xid: barrier.xid });
  await device.settled();
  expect(datapath.rules.size).toBe(0);
  expect(errors).toEqual([]);
  expect(states).toEqual(['failed']);
});
