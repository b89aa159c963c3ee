import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, Traffic, type TransferReport } from '../../cli/demo/hosts.ts';
import { Lab } from '../support/e2e-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const CONNECTIONS = 100;
const BYTES_EACH = 10_000_000;

describeNetwork('many flows at once', ['ping', 'ethtool'], () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.start({ poolSize: 64 });
  });
  afterAll(() => lab?.close());

  test('100 TCP connections get a cell each and carry 1 GB intact, with the offloads Linux sets', async () => {
    const { h1, h2 } = lab.hosts;
    const { stdout } = await h1.exec(['ethtool', '-k', h1.interface]);
    expect(stdout).toMatch(/tx-checksumming: on/);
    expect(stdout).toMatch(/tcp-segmentation-offload: on/);

    await serve(h2, 'tcp-receive', 5001);
    const args = ['tcp-send', h2.ip, 5001, CONNECTIONS, BYTES_EACH];
    const report = await new Traffic(h1, args).next<TransferReport>();
    expect(report).toMatchObject({ ok: true, failed: 0, bytes: CONNECTIONS * BYTES_EACH });

    // One cell for both directions of a connection, and no two connections in one.
    const cells = await lab.cells(({ tcp_dst }) => tcp_dst === 5001);
    expect(cells).toHaveLength(CONNECTIONS);
    expect(new Set(cells.map(({ match }) => match!.tcp_src)).size).toBe(CONNECTIONS);
    const ports = await lab.agentGet<{ rxBytes: number; rxPackets: number }[]>('/ports');
    // Segmentation offload was at work: frames far longer than the link's 1,514 bytes.
    expect(ports[0].rxBytes / ports[0].rxPackets).toBeGreaterThan(3000);
    await lab.settled();
  });
});
