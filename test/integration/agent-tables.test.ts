/** A large table in a real default cell, and what a controller meets that reaches the limits of a cell. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ErrorType,
  GroupModFailedCode,
  type MessageInit,
  type MessageOf,
  MeterModFailedCode,
} from '../../openflow/index.ts';
import { ping as pingFrom, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const ENTRIES = 20_000;
/** Messages that a controller sends before it waits: fewer bytes than may wait for one cell. */
const BATCH = 1000;

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0 }] },
];
const address = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;

describeNetwork('tables of the default cell', ['ping'], () => {
  let lab: SwitchLab;
  let net: SwitchLab['net'];
  let agent: SwitchLab['agent'];
  let peer: SwitchLab['peer'];

  beforeAll(async () => {
    lab = await switchLab(2, { net: { staticArp: true }, agent: { connection: { retryMs: 20 } } });
    ({ net, agent, peer } = lab);
    await peer.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
  });
  afterAll(() => lab?.stop());

  const ping = async () => (await pingFrom(net.hosts.h1, net.hosts.h2.ip, 3)).stdout;
  const barrier = () => peer.call('barrier_reply', { type: 'barrier_request' });
  const batches = async (count: number, message: (n: number) => MessageInit) => {
    for (let first = 0; first < count; first += BATCH) {
      peer.send(...Array.from({ length: Math.min(BATCH, count - first) }, (_, n) => message(first + n)));
      await barrier();
    }
  };
  const errors = () =>
    peer.received.splice(0).filter((message): message is MessageOf<'error'> => message.type === 'error');
  const entries = async () => {
    const { body } = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'aggregate' },
    });
    if (body.type !== 'aggregate') throw new Error(body.type);
    return body.flow_count;
  };
  const endedCells = async () => (await agent.local<{ cells: { ended: number } }>('/counters')).cells.ended;

  test(`${ENTRIES} entries are installed, counted, listed, used and deleted by one message`, async () => {
    await batches(ENTRIES, (n) => ({
      type: 'flow_mod',
      table_id: 1,
      priority: 9,
      match: { eth_type: 0x0800, ipv4_dst: address(n) },
      instructions: output(2),
    }));
    expect(errors()).toEqual([]);
    expect(await entries()).toBe(ENTRIES + 2);
    peer.send({ type: 'multipart_request', xid: 9, body: { type: 'flow', table_id: 1 } });
    expect(await ping()).toContain(' 0% packet loss');
    let listed = 0;
    for (let more = true; more; ) {
      const { flags, body } = await peer.next('multipart_reply', ({ xid }) => xid === 9);
      if (body.type !== 'flow') throw new Error(body.type);
      listed += body.flows.length;
      more = (flags & 1) !== 0;
    }
    expect(listed).toBe(ENTRIES);
    peer.send({ type: 'flow_mod', command: 3, table_id: 1 });
    expect(await entries()).toBe(2);
    expect(await ping()).toContain(' 0% packet loss');
    expect(await endedCells()).toBe(0);
  });

  test('with too many groups and meters: the errors of the specification, and traffic goes on', async () => {
    await batches(6000, (n) => ({
      type: 'group_mod',
      command: 0,
      group_id: n,
      buckets: [{ actions: [{ type: 'output', port: 1, max_len: 0 }] }],
    }));
    const noGroups = errors();
    expect(noGroups).toHaveLength(6000 - 4096);
    for (const { error_type, code } of noGroups) {
      expect([error_type, code]).toEqual([ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.OUT_OF_GROUPS]);
    }
    await batches(3000, (n) => ({
      type: 'meter_mod',
      command: 0,
      flags: 1,
      meter_id: n + 1,
      bands: [{ type: 'drop', rate: 1000, burst_size: 0 }],
    }));
    const noMeters = errors();
    expect(noMeters).toHaveLength(3000 - 1024);
    for (const { error_type, code } of noMeters) {
      expect([error_type, code]).toEqual([ErrorType.METER_MOD_FAILED, MeterModFailedCode.OUT_OF_METERS]);
    }
    expect(await ping()).toContain(' 0% packet loss');
    peer.send({ type: 'group_mod', command: 2, group_id: 0xfffffffc });
    peer.send({ type: 'meter_mod', command: 2, meter_id: 0xffffffff });
    await barrier();
    expect(errors()).toEqual([]);
    expect(await entries()).toBe(2);
    expect(await endedCells()).toBe(0);
  });
});
