import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NewFlowsReport, serve, Traffic } from '../../cli/demo/hosts.ts';
import type { Match } from '../../openflow/index.ts';
import type { TestProgram } from '../support/e2e-controller.ts';
import { Lab, Probe, type RuleView, udpTo, until } from '../support/e2e-lab.ts';
import { PATIENT_RUN_MS } from '../support/e2e-switch.ts';
import { describeNetwork } from '../support/suites.ts';

const ECHO_PORT = 7;

/** What an upload looks like: plain JavaScript, the packet's bytes and its output. Answers UDP in the cell. */
const echo = `
flowcell.program({
  packet(p) {
    p.edit();
    const swap = (a, b, length) => {
      for (let i = 0; i < length; i++) {
        const byte = p.bytes[p.offset + a + i];
        p.bytes[p.offset + a + i] = p.bytes[p.offset + b + i];
        p.bytes[p.offset + b + i] = byte;
      }
    };
    swap(0, 6, 6);
    swap(26, 30, 4);
    swap(34, 36, 2);
    p.output(0xfffffff8);
  },
});`;
const forward = `flowcell.program({ packet(p) { p.output(p.inPort === 1 ? 2 : 1); } });`;
const program = (packet: string) => `let state = []; flowcell.program({ packet(p) { ${packet} } });`;
const forEver = program('for (;;);');
/** Forwards like any other, and keeps 64 kB of each packet's time. */
const leak = program(
  'p.output(p.inPort === 1 ? 2 : 1); state.push(new Array(8192).fill(1.5).map(() => ({})));',
);
/** Not interruptible: V8 looks at no interrupt in there. */
const deaf = program('Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1);');
const throws = program('throw { get message() { for (;;); } };');

const PROGRAMS: TestProgram[] = [
  { port: 101, name: 'echo', code: echo, runMs: PATIENT_RUN_MS },
  { port: 102, name: 'forward', code: forward, runMs: PATIENT_RUN_MS },
  { port: 103, name: 'for-ever', code: forEver },
  { port: 104, name: 'for-ever-once', code: `${forEver}//`, onFailure: 'quarantine' },
  { port: 105, name: 'leak', code: leak, runMs: 1000 },
  { port: 106, name: 'leak-once', code: `${leak}//`, runMs: 1000, onFailure: 'quarantine' },
  { port: 107, name: 'throws', code: throws, onFailure: 'quarantine' },
  { port: 108, name: 'deaf', code: deaf, onFailure: 'quarantine' },
  { port: 109, name: 'deaf-again', code: `${deaf}//` },
  { port: 110, name: 'load-loops', code: 'for (;;);' },
  { port: 111, name: 'load-deaf', code: 'Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1);' },
];

describeNetwork('uploaded programs', ['ping'], () => {
  let lab: Lab;
  let steady: Probe;
  beforeAll(async () => {
    lab = await Lab.start({ hosts: 3, programs: PROGRAMS });
    const { h1, h2 } = lab.hosts;
    for (const { port } of PROGRAMS) await serve(h2, 'udp-echo', port);
    await serve(h1, 'udp-echo', ECHO_PORT);
  });
  afterAll(() => lab?.close());

  const steadyFlow = async () => {
    steady = await Probe.start(lab.hosts.h3, lab.hosts.h1.ip, ECHO_PORT);
  };
  /** Packets to a hostile program: of those without an answer at the end none comes any more. */
  const openHostile = (port: number, perSecond?: number) =>
    Probe.open(lab.hosts.h1, lab.hosts.h2.ip, port, perSecond, 100);
  const dropped = async () =>
    (await lab.agentGet<{ dispatcher: { dropped: Record<string, number> } }>('/counters')).dispatcher.dropped;

  test('switch, edit and answer packets', async () => {
    const forwarded = await Probe.start(lab.hosts.h1, lab.hosts.h2.ip, 102);
    // Nobody has this port but the cell.
    const answered = await Probe.start(lab.hosts.h1, lab.hosts.h3.ip, 101);
    const [cell] = await lab.cells(udpTo(101));
    expect(cell).toMatchObject({ program: 'echo', state: 'running' });
    expect(await forwarded.finish()).toMatchObject({ lost: 0 });
    expect(await answered.finish()).toMatchObject({ lost: 0 });
    await lab.settled();
  });

  test.each([
    ['loops for ever', 103, 'cpu'],
    ['eats memory', 105, 'memory'],
  ])('one that %s is ended and gets another cell, other flows lose nothing', async (_what, port, reason) => {
    await steadyFlow();
    const hostile = openHostile(port, 50);
    expect(await lab.event('killed', await lab.rule(udpTo(port)))).toMatchObject({ reason });
    // The next packet asks again, and leads to a cell of its own.
    await lab.event('killed', await lab.rule(udpTo(port), 1));
    const [report] = await Promise.all([steady.finish(), hostile.finish()]);
    expect(report).toMatchObject({ lost: 0, last_answered: true });
    await lab.settled();
  });

  test.each([
    ['loops for ever', 104, 'killed', 'cpu'],
    ['eats memory', 106, 'killed', 'memory'],
    ['throws what must not be looked at', 107, 'exited', 'exception'],
  ] as const)(
    'one that %s is put in quarantine: its flow is dropped and counted',
    async (_what, port, end, reason) => {
      await steadyFlow();
      const hostile = openHostile(port);
      const cookie = await lab.rule(udpTo(port));
      expect(await lab.event(end, cookie)).toMatchObject({ reason });
      await lab.event('quarantined', cookie);
      const before = await dropped();
      await until('drops', dropped, ({ quarantined }) => quarantined >= before.quarantined + 10);
      expect((await hostile.finish()).last_answered).toBe(false);
      const rules = await lab.agentGet<RuleView[]>('/rules');
      expect(rules.filter(({ match }) => udpTo(port)(match))).toMatchObject([{ state: 'quarantined' }]);
      expect(
        lab.events.filter(({ type, match }) => type === 'rule' && udpTo(port)(match as Match)),
      ).toHaveLength(1);
      expect(await steady.finish()).toMatchObject({ lost: 0, last_answered: true });
      await lab.settled();
    },
  );

  test.each([
    ['in quarantine', 108],
    ['refused another cell', 109],
  ])(
    'one that cannot be interrupted ends with its host and is %s; other flows come back',
    async (_what, port) => {
      await steadyFlow();
      const [pid, restarts] = [await lab.hostPid(), await lab.hostRestarts()];
      const hostile = openHostile(port, 20);
      const cookie = await lab.rule(udpTo(port));
      expect(await lab.event('killed', cookie)).toMatchObject({ reason: 'cpu' });
      if (port === 108) await lab.event('quarantined', cookie);
      else {
        const failed = await lab.event('failed', await lab.rule(udpTo(port), 1));
        expect(failed).toMatchObject({
          reason: 'bad_program',
          detail: expect.stringContaining('taken its sandbox host'),
        });
      }
      await lab.newHost(pid);
      // A new host, one only, and the hostile flow still sends.
      const again = await Probe.start(lab.hosts.h3, lab.hosts.h1.ip, ECHO_PORT);
      expect(await again.finish()).toMatchObject({ lost: 0 });
      expect(await lab.hostRestarts()).toBe(restarts + 1);
      // Lost meanwhile: what was inside the cell, and what its hold queue had no room for.
      const [report] = await Promise.all([steady.finish(), hostile.finish()]);
      expect(report.last_answered).toBe(true);
      await lab.settled();
    },
  );

  test.each([
    ['loops', 110, 0],
    ['cannot be interrupted', 111, 1],
  ])(
    'one that %s while it is loaded gets no cell, and does not keep others from theirs',
    async (_what, port, deaths) => {
      const restarts = await lab.hostRestarts();
      const hostile = openHostile(port, 20);
      const failed = await lab.event('failed', await lab.rule(udpTo(port)));
      expect(failed).toMatchObject({ reason: 'bad_program', detail: expect.stringContaining('not loaded') });
      // It is not tried again for each of the flow's packets.
      await lab.event('failed', await lab.rule(udpTo(port), 5));
      await until(
        'the host',
        () => lab.hostRestarts(),
        (count) => count === restarts + deaths,
      );
      // More new flows than there are warm cells.
      const { h1, h3 } = lab.hosts;
      const flows = await new Traffic(h3, ['udp-flows', h1.ip, ECHO_PORT, 20]).next<NewFlowsReport>();
      expect(flows.answered).toBe(20);
      await hostile.finish();
      await lab.settled();
    },
  );
});
