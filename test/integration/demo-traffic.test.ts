import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type NewFlowsReport,
  type ProbeReport,
  ping,
  serve,
  Traffic,
  type TransferReport,
} from '../../cli/demo/hosts.ts';
import { type Network, topology } from '../../mininet/topology.ts';
import { describeNetwork } from '../support/suites.ts';

// The demo's own measuring instruments, on a plain wire: what they report must be the wire's doing.
describeNetwork("the demo's traffic between two hosts on a wire", () => {
  let net: Network<never, 'h1' | 'h2'>;
  beforeAll(async () => {
    net = await topology({ switches: {}, hosts: { h1: {}, h2: {} }, links: [['h1', 'h2']] });
  });
  afterAll(() => net?.close());

  test('TCP streams arrive intact', async () => {
    await serve(net.hosts.h2, 'tcp-receive', 5001);
    const report = await new Traffic(net.hosts.h1, ['tcp-send', net.hosts.h2.ip, 5001, 5, 300_001]).next();
    expect(report).toMatchObject({
      bytes: 5 * 300_001,
      ok: true,
      failed: 0,
    } satisfies Partial<TransferReport>);
  });

  test('a TCP server that is not there is reported, with the reason', async () => {
    const report = await new Traffic(net.hosts.h1, ['tcp-send', net.hosts.h2.ip, 5002, 2, 10]).next();
    expect(report).toMatchObject({
      bytes: 0,
      ok: false,
      failed: 2,
      reason: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('new flows are answered each', async () => {
    await serve(net.hosts.h2, 'udp-echo', 7007);
    const report = await new Traffic(net.hosts.h1, [
      'udp-flows',
      net.hosts.h2.ip,
      7007,
      20,
    ]).next<NewFlowsReport>();
    expect(report).toMatchObject({ flows: 20, answered: 20 });
    expect(report.rtt_us.p99).toBeGreaterThanOrEqual(report.rtt_us.p50);
    expect(report.rtt_us.p50).toBeGreaterThan(0);
  });

  // Before the cable is cut: an address that could not be resolved then stays so for a second or more.
  test('ping counts what is answered', async () => {
    const report = await ping(net.hosts.h1, net.hosts.h2, 2);
    expect(report === undefined || (report.sent === 2 && report.received === 2)).toBe(true);
    if (report !== undefined) expect(report.best).toBeLessThanOrEqual(report.first);
  });

  test('a probe loses nothing on a wire that holds, and says so when the wire is cut', async () => {
    await serve(net.hosts.h2, 'udp-echo', 7008);
    const probe = () => new Traffic(net.hosts.h1, ['udp-probe', net.hosts.h2.ip, 7008, 500, 40001]);
    const steady = probe();
    await steady.next();
    const good = await steady.finish<ProbeReport>();
    expect(good).toMatchObject({ lost: 0, last_answered: true });
    expect(good.sent).toBeGreaterThan(0);
    expect(good.received).toBe(good.sent);

    const cut = probe();
    await cut.next();
    // The far end of the wire: the sender's own interface stays up.
    await net.link('h1', 'h2').down('b');
    try {
      // Some are sent into the void before it ends.
      await net.hosts.h2.exec(['sleep', '0.2']);
      const bad = await cut.finish<ProbeReport>();
      expect(bad.lost).toBeGreaterThan(0);
      expect(bad.lost).toBe(bad.sent - bad.received);
      expect(bad.last_answered).toBe(false);
    } finally {
      await net.link('h1', 'h2').up('b');
    }
  });
});
