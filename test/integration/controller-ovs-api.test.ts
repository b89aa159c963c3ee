/**
 * What apps can ask of an ordinary switch, against Open vSwitch over every version: its dummy datapath has no
 * packets, and needs neither root nor interfaces.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { OpenVSwitch, OVS_PROTOCOLS } from '../../bench/peers/open-vswitch.ts';
import {
  type App,
  Controller,
  type Datapath,
  type FlowcellError,
  type RoleStatus,
} from '../../controller/index.ts';
import { exec } from '../../mininet/run.ts';
import {
  ControllerRole,
  FlowRemovedReason,
  GroupType,
  MeterFlag,
  Port,
  PortConfig,
} from '../../openflow/index.ts';
import { MemoryLog } from '../support/controller.ts';
import { hasCommand } from '../support/environment.ts';

const out = (port: number) => [{ type: 'output' as const, port }];

/** What the switch connects to: a unix socket that leads to the controller's port. */
async function relay(path: string, port: () => number | undefined): Promise<Server> {
  const server = createServer((socket) => {
    const to = port();
    // Between two controllers the switch finds nobody there, and comes again.
    if (to === undefined) {
      socket.destroy();
      return;
    }
    const onward = connect(to, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    for (const [end, other] of [[socket, onward] as const, [onward, socket] as const]) {
      end.on('error', () => other.destroy());
      end.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** A controller with one app that keeps what it is told. */
class Station {
  readonly log = new MemoryLog();
  readonly errors: FlowcellError[] = [];
  readonly #wake = new Set<() => void>();
  readonly roles: RoleStatus[] = [];
  readonly removed: { reason: number; cookie: bigint }[] = [];
  readonly ports: { port: number; config: number }[] = [];
  controller: Controller | undefined;
  datapath: Datapath | undefined;

  async start(): Promise<void> {
    const app: App = {
      name: 'station',
      onDatapath: (datapath) => this.#news(() => (this.datapath = datapath)),
      onDatapathGone: () => this.#news(() => (this.datapath = undefined)),
      onError: (_, error) => this.#news(() => this.errors.push(error)),
      onRoleStatus: (_, status) => this.#news(() => this.roles.push(status)),
      onFlowRemoved: (_, { reason, cookie }) => this.#news(() => this.removed.push({ reason, cookie })),
      onPortStatus: (_, { desc }) =>
        this.#news(() => this.ports.push({ port: desc.port_no, config: desc.config })),
    };
    this.controller = await Controller.start({ port: 0, host: '127.0.0.1', apps: [app], log: this.log });
  }

  /** Resolves when `found` finds something; looked at after every event. */
  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      await new Promise<void>((resolve) => this.#wake.add(resolve));
    }
  }

  #news(change: () => unknown): void {
    change();
    const waiting = [...this.#wake];
    this.#wake.clear();
    for (const wake of waiting) wake();
  }
}

describe.skipIf(!hasCommand('ovs-vswitchd'))('Open vSwitch, asked by an app', { timeout: 60_000 }, () => {
  let folder: string;
  let ovs: OpenVSwitch;
  const relays: Server[] = [];
  const stations: [Station, Station] = [new Station(), new Station()];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fc-ctl-api-'));
    ovs = new OpenVSwitch({
      folder,
      ports: ['p1', 'p2', 'p3'],
      datapath: 'dummy',
      inactivityProbeMs: 2000,
      exec,
      spawn: ([file, ...args], options) => {
        const child = spawn(file, args, options);
        children.push(child);
        return child;
      },
    });
    await ovs.start();
    for (const [index, path] of ['a', 'b'].entries()) {
      relays.push(await relay(join(folder, path), () => stations[index].controller?.port));
    }
  });

  afterAll(async () => {
    await ovs?.stop();
    for (const server of relays) server.close();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  describe.each(OVS_PROTOCOLS)('over OpenFlow $openflow', ({ openflow, version, protocol }) => {
    let dp: Datapath;
    let station: Station;

    beforeAll(async () => {
      stations[0] = new Station();
      stations[1] = new Station();
      for (const each of stations) await each.start();
      await ovs.connect(protocol, `unix:${join(folder, 'a')}`);
    });

    afterAll(async () => {
      for (const { controller } of stations) await controller?.stop();
    });

    beforeEach(async () => {
      station = stations[0];
      // The switch may still come as what it spoke before.
      dp = await station.until(() => (station.datapath?.version === version ? station.datapath : undefined));
      station.errors.length = 0;
    });

    afterEach(async () => {
      if (station.datapath === undefined) return;
      dp.deleteFlows();
      await dp.barrier();
    });

    test('it is known by its version, its ports and its own words', async () => {
      expect([dp.version, dp.openflow, dp.flowMode]).toEqual([version, openflow, false]);
      expect([...dp.ports.values()].map(({ name }) => name).sort()).toEqual(['br0', 'p1', 'p2', 'p3']);
      expect((await dp.portDesc()).length).toBe(4);
      expect((await dp.desc()).mfr_desc).toContain('Nicira');
      expect((await dp.config()).miss_send_len).toBe(0xffff);
    });

    test('flow entries: add, modify, statistics, delete, removed', async () => {
      dp.addFlow({ priority: 10, cookie: 7n, match: { in_port: 1 }, actions: out(2), flags: 1 });
      dp.addFlow({
        priority: 11,
        cookie: 8n,
        match: { in_port: 2, eth_type: 0x800, ipv4_dst: '10.0.0.1' },
        actions: out(1),
      });
      // OpenFlow 1.0 modifies the cookie, too.
      dp.modifyFlowStrict({ priority: 10, cookie: 7n, match: { in_port: 1 }, actions: out(3) });
      await dp.barrier();
      const flows = await dp.flows({ cookie: 7n, cookie_mask: 0xffffffffffffffffn });
      expect(flows).toMatchObject([{ priority: 10, match: { in_port: 1 }, packet_count: 0n }]);
      expect(flows[0].instructions).toMatchObject([{ type: 'apply_actions', actions: [{ port: 3 }] }]);
      expect((await dp.aggregate()).flow_count).toBe(2);
      expect((await dp.tableStats())[0]).toMatchObject({ table_id: 0, active_count: 2 });
      expect(await ovs.flows(protocol)).toContain('nw_dst=10.0.0.1 actions=output:1');
      dp.deleteFlows({ match: { in_port: 1 } });
      const removed = await station.until(() => station.removed.shift());
      expect(removed).toEqual({ reason: FlowRemovedReason.DELETE, cookie: 7n });
      expect((await dp.aggregate()).flow_count).toBe(1);
    });

    test('port statistics, and the state of a port', async () => {
      expect((await dp.portStats()).length).toBe(4);
      expect(await dp.portStats(1)).toMatchObject([{ port_no: 1, rx_packets: 0n }]);
      const { NO_FWD } = PortConfig;
      const config = async () => (await dp.portDesc()).find(({ port_no }) => port_no === 1)?.config;
      await dp.modifyPort({ port_no: 1, config: NO_FWD, mask: NO_FWD });
      // The switch does not tell the controller that asked (before 1.5).
      expect([await config(), dp.ports.get(1)?.config]).toEqual([NO_FWD, NO_FWD]);
      await dp.modifyPort({ port_no: 1, config: 0, mask: NO_FWD });
      expect([await config(), dp.ports.get(1)?.config]).toEqual([0, 0]);
      // Somebody else's change it does tell.
      await ovs.ofctl(protocol, 'mod-port', 'p2', 'no-forward');
      await station.until(() => station.ports.find(({ port, config }) => port === 2 && config & NO_FWD));
      await ovs.ofctl(protocol, 'mod-port', 'p2', 'forward');
      await expect(dp.modifyPort({ port_no: 9 })).rejects.toMatchObject({ code: 'FC_PORT_UNKNOWN' });
    });

    test('queues', async () => {
      expect(await dp.queueStats(1)).toMatchObject([{ port_no: 1, queue_id: 0 }]);
      expect(await dp.queueConfig(1)).toMatchObject([{ port: 1, queue_id: 0 }]);
    });

    test("the switch's errors carry the specification's names", async () => {
      const wrong = dp.modifyPort({ port_no: 1, hw_addr: '02:00:00:00:00:01' });
      await expect(wrong).rejects.toMatchObject({
        code: 'FC_DEVICE_ERROR',
        errorName: 'PORT_MOD_FAILED/BAD_HW_ADDR',
        message: expect.stringContaining('PORT_MOD_FAILED/BAD_HW_ADDR'),
      });
      const sent = dp.send({ type: 'flow_mod', command: 9, match: { in_port: 1 } });
      const error = await station.until(() => station.errors[0]);
      expect(error).toMatchObject({ errorName: 'FLOW_MOD_FAILED/BAD_COMMAND', xid: sent });
    });

    test('a packet goes out', async () => {
      const [before] = await dp.portStats(2);
      dp.packetOut({ in_port: 1, data: new Uint8Array(64).fill(0xff), actions: out(2) });
      await dp.barrier();
      const [after] = await dp.portStats(2);
      expect([after.tx_packets - before.tx_packets, after.tx_bytes - before.tx_bytes]).toEqual([1n, 64n]);
      expect(station.errors).toEqual([]);
    });

    if (version === 1) {
      test('what OpenFlow 1.0 cannot say is refused with a sentence, and nothing is sent', async () => {
        for (const ask of [
          () => dp.addGroup({ group_id: 1, buckets: [] }),
          () => dp.addMeter({ meter_id: 1, flags: MeterFlag.KBPS, bands: [{ type: 'drop', rate: 1 }] }),
          () => dp.groupDesc(),
          () => dp.bundle((bundle) => bundle.addFlow({ match: { in_port: 1 } })),
        ]) {
          const error = (await ask().catch((thrown) => thrown)) as FlowcellError;
          expect(error.code).toBe('FC_NOT_IN_VERSION');
          expect(error.message).toContain('OpenFlow 1.0');
        }
        const { counters } = station.controller!;
        const before = counters.messages_not_in_version;
        dp.addFlow({ match: { eth_type: 0x86dd, ipv6_dst: '2001:db8::1' }, actions: out(1) });
        expect((await station.until(() => station.errors[0])).code).toBe('FC_NOT_IN_VERSION');
        expect(counters.messages_not_in_version - before).toBe(1);
        expect((await dp.aggregate()).flow_count).toBe(0);
      });
      return;
    }

    test('groups', async () => {
      const buckets = [
        { weight: 1, actions: out(1) },
        { weight: 2, actions: out(2) },
      ];
      await dp.addGroup({ group_id: 5, group_type: GroupType.SELECT, buckets });
      const exists = dp.addGroup({ group_id: 5, group_type: GroupType.SELECT, buckets });
      await expect(exists).rejects.toMatchObject({ errorName: 'GROUP_MOD_FAILED/GROUP_EXISTS' });
      dp.addFlow({ match: { in_port: 3 }, actions: [{ type: 'group', group_id: 5 }] });
      expect((await dp.flows()).length).toBe(1);
      const [group] = await dp.groupDesc();
      expect(group).toMatchObject({ group_id: 5, group_type: GroupType.SELECT });
      expect(group.buckets).toMatchObject([
        { weight: 1 },
        { weight: 2, actions: [{ type: 'output', port: 2 }] },
      ]);
      expect(await dp.groupStats(5)).toMatchObject([{ group_id: 5, packet_count: 0n }]);
      expect((await dp.groupFeatures()).types & 15).toBe(15);
      await dp.modifyGroup({ group_id: 5, buckets: [{ actions: out(3) }] });
      expect(await dp.groupDesc()).toMatchObject([{ group_type: GroupType.ALL, buckets: [{}] }]);
      await dp.deleteGroup(5);
      expect([await dp.groupDesc(), await dp.flows()]).toEqual([[], []]);
    });

    test('meters', async () => {
      const meter = { meter_id: 3, flags: MeterFlag.PKTPS | MeterFlag.STATS };
      await dp.addMeter({ ...meter, bands: [{ type: 'drop', rate: 100 }] });
      const exists = dp.addMeter({ ...meter, bands: [{ type: 'drop', rate: 100 }] });
      await expect(exists).rejects.toMatchObject({ errorName: 'METER_MOD_FAILED/METER_EXISTS' });
      await dp.modifyMeter({ ...meter, bands: [{ type: 'drop', rate: 200 }] });
      expect(await dp.meterConfig()).toMatchObject([{ meter_id: 3, bands: [{ type: 'drop', rate: 200 }] }]);
      const meterActions = [
        { type: 'meter' as const, meter_id: 3 },
        { type: 'apply_actions' as const, actions: out(1) },
      ];
      dp.addFlow({ match: { in_port: 2 }, instructions: meterActions });
      expect((await dp.flows())[0].instructions).toMatchObject(meterActions.map(({ type }) => ({ type })));
      expect(await dp.meterStats(3)).toMatchObject([{ meter_id: 3, band_stats: [{}] }]);
      expect((await dp.meterFeatures()).max_meter).toBeGreaterThan(0);
      await dp.deleteMeter(3);
      expect(await dp.meterConfig()).toEqual([]);
    });

    test('table features', async () => {
      const tables = await dp.tableFeatures();
      expect(tables[0].properties.map(({ type }) => type)).toContain('apply_actions');
      expect(tables.length).toBeGreaterThan(200);
    });

    test('a bundle is carried out whole', async () => {
      await dp.bundle(async (bundle) => {
        for (let port = 1; port <= 100; port++) bundle.addFlow({ match: { in_port: port }, actions: out(1) });
        bundle.addGroup({ group_id: 9, buckets: [{ actions: out(1) }] });
        await Promise.resolve();
        bundle.deleteFlows({ match: { in_port: 100 } });
      });
      expect((await dp.flows()).length).toBe(99);
      expect((await dp.groupDesc()).length).toBe(1);
      await dp.deleteGroup(9);
    });

    test('a bundle with a message that fails, and one that is refused at once, change nothing', async () => {
      const inCommit = dp.bundle((bundle) => {
        bundle.addFlow({ match: { in_port: 1 }, actions: out(2) });
        bundle.addFlow({ match: { in_port: 2 }, actions: [{ type: 'group', group_id: 12345 }] });
      });
      await expect(inCommit).rejects.toMatchObject({
        code: 'FC_DEVICE_ERROR',
        errorName: 'BAD_ACTION/BAD_OUT_GROUP',
      });
      const inAdd = dp.bundle((bundle) => {
        bundle.addFlow({ match: { in_port: 1 }, actions: out(2) });
        bundle.send({ type: 'barrier_request' });
      });
      await expect(inAdd).rejects.toMatchObject({ errorName: 'BUNDLE_FAILED/MSG_UNSUP' });
      const thrown = dp.bundle((bundle) => {
        bundle.addFlow({ match: { in_port: 1 }, actions: out(2) });
        throw new Error('changed my mind');
      });
      await expect(thrown).rejects.toThrow('changed my mind');
      expect(await dp.flows()).toEqual([]);
      expect(station.errors).toEqual([]);
    });

    test('which messages a controller gets', async () => {
      const config = { ...(await dp.asyncConfig()), port_status_mask: [0, 7] as [number, number] };
      await dp.setAsync(config);
      expect((await dp.asyncConfig()).port_status_mask).toEqual([0, 7]);
      await dp.setAsync({ ...config, port_status_mask: [7, 7] });
    });

    test('two controllers and their roles', async () => {
      await ovs.vsctl('set-controller', 'br0', `unix:${join(folder, 'a')}`, `unix:${join(folder, 'b')}`);
      const [first, second] = stations;
      // The switch remembers the latest for as long as it runs.
      const generation = BigInt(100 * version);
      const master = (generation_id: bigint) => ({ role: ControllerRole.MASTER, generation_id });
      const a = await first.until(() => first.datapath);
      const b = await second.until(() => second.datapath);
      expect(await a.setRole(ControllerRole.NOCHANGE)).toMatchObject({ role: ControllerRole.EQUAL });
      expect(await a.setRole(ControllerRole.MASTER, generation)).toEqual(master(generation));
      expect(await b.setRole(ControllerRole.MASTER, generation + 1n)).toEqual(master(generation + 1n));
      expect((await a.setRole(ControllerRole.NOCHANGE)).role).toBe(ControllerRole.SLAVE);
      const stale = a.setRole(ControllerRole.MASTER, generation - 1n);
      await expect(stale).rejects.toMatchObject({ errorName: 'ROLE_REQUEST_FAILED/STALE' });
      a.addFlow({ match: { in_port: 1 }, actions: out(Port.IN_PORT) });
      const error = await first.until(() => first.errors[0]);
      expect(error).toMatchObject({ errorName: 'BAD_REQUEST/IS_SLAVE' });
      if (version > 4) {
        const status = await first.until(() => first.roles[0]);
        expect(status).toEqual({ role: ControllerRole.SLAVE, reason: 0, generation_id: generation + 1n });
      }
      await a.setRole(ControllerRole.EQUAL);
      await b.setRole(ControllerRole.EQUAL);
    });
  });
});
