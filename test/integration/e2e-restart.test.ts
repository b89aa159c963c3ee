import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { serve, Traffic, type TransferReport } from '../../cli/demo/hosts.ts';
import {
  allEnded,
  type FlowView,
  Lab,
  type LabOptions,
  Probe,
  udpTo,
  until,
  WAIT_MS,
} from '../support/e2e-lab.ts';
import { PATIENT_RUN_MS } from '../support/e2e-switch.ts';
import { descendants } from '../support/processes.ts';
import { describeNetwork } from '../support/suites.ts';

const ECHO_PORT = 7;
const UPLOAD_PORT = 102;

interface LossCounters {
  cells: { lostFrames: number };
  hold: { refused: { perFlow: number; perTenant: number; total: number } };
}

describeNetwork('what is killed (-9) and comes back', ['ping'], () => {
  let lab: Lab;
  afterEach(() => lab?.close());

  const start = async (options?: LabOptions) => {
    lab = await Lab.start(options);
    await serve(lab.hosts.h2, 'udp-echo', ECHO_PORT);
  };
  const probe = () => Probe.start(lab.hosts.h1, lab.hosts.h2.ip, ECHO_PORT);
  const transfer = async (port: number) => {
    await serve(lab.hosts.h2, 'tcp-receive', port);
    return await new Traffic(lab.hosts.h1, [
      'tcp-send',
      lab.hosts.h2.ip,
      port,
      5,
      100_000,
    ]).next<TransferReport>();
  };

  test('the agent: its host ends with it, and the next agent does all of its work', async () => {
    await start();
    const flow = await probe();
    const before = descendants(lab.agent.pid);
    expect(before).toContain(await lab.hostPid());
    await lab.agent.kill();
    await allEnded(before);
    expect((await flow.finish()).last_answered).toBe(false);

    await lab.startAgent();
    expect(readdirSync(lab.runDir).sort()).toEqual(['agent-0000000000000001.sock', 'controller-6653.sock']);
    // Before it knows where they are, a flow moves to another cell, and what is in the first one is lost.
    await lab.meet();
    expect(await lab.ping(lab.hosts.h1, lab.hosts.h2, 3)).toBe(3);
    expect(await (await probe()).finish()).toMatchObject({ lost: 0 });
    expect(await transfer(5001)).toMatchObject({ ok: true });
    await lab.settled();

    const last = descendants(lab.agent.pid);
    await lab.close();
    await allEnded(last);
  });

  test('the controller: flows lose nothing, and it knows them again when it is back', async () => {
    const code = 'flowcell.program({ packet(p) { p.output(p.inPort === 1 ? 2 : 1); } });';
    await start({ programs: [{ port: UPLOAD_PORT, name: 'forward', code, runMs: PATIENT_RUN_MS }] });
    await serve(lab.hosts.h2, 'udp-echo', UPLOAD_PORT);
    const flow = await probe();
    const uploaded = await Probe.start(lab.hosts.h1, lab.hosts.h2.ip, UPLOAD_PORT);
    const [known] = await lab.flows(udpTo(ECHO_PORT));
    const [mute] = await lab.flows(udpTo(UPLOAD_PORT));

    await lab.controller.kill();
    await until(
      'the agent to notice',
      () => lab.agentGet<{ connection: string }>('/status'),
      ({ connection }) => connection !== 'established',
    );
    await lab.startController();
    await lab.connected();

    const same = ({ cell, match }: FlowView) => ({ cell, match, stage: 'live', adopted: true });
    await expect
      .poll(() => lab.flows(udpTo(ECHO_PORT)), { timeout: WAIT_MS })
      .toMatchObject([{ ...same(known), entries: [{}, {}, {}] }]);
    await expect.poll(() => lab.flows(udpTo(UPLOAD_PORT)), { timeout: WAIT_MS }).toMatchObject([same(mute)]);
    expect(await transfer(5001)).toMatchObject({ ok: true });
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
    expect(await uploaded.finish()).toMatchObject({ lost: 0, last_answered: true });
    await lab.settled();
  });

  test('the sandbox host: flows come back with their entries, without the controller', async () => {
    await start();
    const flow = await probe();
    const [before] = await lab.cells(udpTo(ECHO_PORT));
    const pid = await lab.hostPid();
    await lab.controller.kill();
    process.kill(pid, 'SIGKILL');
    await lab.newHost(pid);
    const [cell] = await until(
      'the cell',
      () => lab.cells(udpTo(ECHO_PORT)),
      ([one]) => one?.state === 'running',
    );
    expect(cell.id).not.toBe(before.id);
    const entries = async () => {
      const cells = await lab.agentGet<{ cell: number; flows: unknown[] | null }[]>('/flows');
      return cells.find((one) => one.cell === cell.id)?.flows;
    };
    // A cell that does not answer the agent in time is listed without.
    expect(await until("the cell's answer", entries, (found) => found != null)).toHaveLength(3);
    const again = await flow.finish();
    expect(again.last_answered).toBe(true);
    // Lost: what was inside the cell, and what there was no room to hold. How much depends on the machine; that it is counted does not.
    const { cells, hold } = await lab.agentGet<LossCounters>('/counters');
    const { perFlow, perTenant, total } = hold.refused;
    expect(again.lost).toBeLessThanOrEqual(cells.lostFrames + perFlow + perTenant + total);

    await lab.startController();
    await lab.connected();
    expect(await transfer(5001)).toMatchObject({ ok: true });
    await lab.settled();
  });

  test('the agent while its sandbox host starts, at any moment: no process is left', async () => {
    lab = await Lab.start();
    await lab.agent.kill();
    for (const pause of [0, 20, 40, 80, 120, 160, 200, 250]) {
      const starting = lab.startAgent().catch(() => undefined);
      const { child } = lab.agent;
      const children = await until(
        'a child',
        async () => descendants(child.pid!),
        (pids) => pids.length > 0,
      );
      await new Promise((resolve) => setTimeout(resolve, pause));
      const all = new Set([...children, ...descendants(child.pid!)]);
      await lab.agent.kill();
      await allEnded([...all]);
      await starting;
    }
  });
});

describeNetwork('without a controller', ['ping'], () => {
  let lab: Lab;
  afterEach(() => lab?.close());

  test('fail mode secure: flows go on, new ones wait until it is back', async () => {
    lab = await Lab.start();
    await serve(lab.hosts.h2, 'udp-echo', ECHO_PORT);
    await serve(lab.hosts.h2, 'tcp-receive', 5001);
    const flow = await Probe.start(lab.hosts.h1, lab.hosts.h2.ip, ECHO_PORT);
    await lab.controller.kill();
    const connection = new Traffic(lab.hosts.h1, [
      'tcp-send',
      lab.hosts.h2.ip,
      5001,
      1,
      1000,
    ]).next<TransferReport>();
    const waits = () => lab.agentGet<{ pending_flows: number; held_packets: number }>('/status');
    const { held_packets } = await until(
      'the flow to wait',
      waits,
      ({ pending_flows }) => pending_flows === 1,
    );
    expect(held_packets).toBeGreaterThan(0);
    await lab.startController();
    await lab.connected();
    expect(await connection).toMatchObject({ ok: true });
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
    await lab.settled();
  });

  test('fail mode standalone: a learning switch, and cells again when it is back', async () => {
    lab = await Lab.start({ failMode: 'standalone' });
    await serve(lab.hosts.h2, 'udp-echo', ECHO_PORT);
    const flow = await Probe.start(lab.hosts.h1, lab.hosts.h2.ip, ECHO_PORT);
    await lab.controller.kill();
    const status = () => lab.agentGet<{ standalone: boolean; pending_flows: number }>('/status');
    await until('standalone', status, ({ standalone }) => standalone);
    const transfer = async (port: number) => {
      await serve(lab.hosts.h2, 'tcp-receive', port);
      const argv = ['tcp-send', lab.hosts.h2.ip, port, 5, 1_000_000];
      expect(await new Traffic(lab.hosts.h1, argv).next<TransferReport>()).toMatchObject({ ok: true });
    };
    await transfer(5001);
    expect(await lab.cells(({ tcp_dst }) => tcp_dst === 5001)).toEqual([]);

    await lab.startController();
    await lab.connected();
    expect(await status()).toMatchObject({ standalone: false });
    // To a port of their own: a segment sent again by an earlier connection would get a cell as well.
    await transfer(5002);
    expect(await lab.cells(({ tcp_dst }) => tcp_dst === 5002)).toHaveLength(5);
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
    await lab.settled();
  });
});
