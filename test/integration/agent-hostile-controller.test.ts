/** One controller of several says what it should not, in any version of OpenFlow: neither the others nor the traffic notice. */
import { afterEach, expect, test } from 'vitest';
import { serve } from '../../cli/demo/hosts.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { OpenFlowError } from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import { AgentProcess, FakeController, type Peer } from '../support/agent-lab.ts';
import { Probe } from '../support/e2e-lab.ts';
import { mutate, random } from '../support/openflow-fuzz.ts';
import { plausibleSamples } from '../support/openflow-plausible.ts';
import { VERSIONS, type Version } from '../support/openflow-versions.ts';
import { describeNetwork } from '../support/suites.ts';

const ECHO_PORT = 7;
/** Few enough that those of a few seconds, sent at once after a pause, find room in any queue. */
const PROBES_PER_SECOND = 50;
const MESSAGES = 3000;
const OFPT_ERROR = 1;
const SPOKEN = VERSIONS.filter(({ name }) => ['1.0', '1.3', '1.4', '1.5'].includes(name));

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0 }] },
];
const THROUGH = [
  { match: { in_port: 1 }, instructions: output(2) },
  { match: { in_port: 2 }, instructions: output(1) },
];

/** With a header at least, and of a length that a header can say. */
const whole = (bytes: Uint8Array): Uint8Array => {
  const message = new Uint8Array(Math.max(8, Math.min(bytes.length, 65535)));
  message.set(bytes.subarray(0, message.length));
  return message;
};

/** Messages of every type, most of them damaged; headers are right, so that each is read as a message of its own. */
const damaged = (version: Version, seed: number): Uint8Array[] => {
  const samples = plausibleSamples(version).map(({ bytes }) => bytes);
  const below = random(seed);
  return Array.from({ length: MESSAGES }, (_, n) => {
    const bytes = whole(mutate(samples[n % samples.length], version.wire, below));
    bytes[0] = version.wire;
    bytes[2] = bytes.length >> 8;
    bytes[3] = bytes.length;
    // Above those of sensible requests.
    bytes.set([0x40, 0, n >> 8, n], 4);
    return bytes;
  });
};

/** Whether the device cannot understand it. */
const isMalformed = ({ wire }: Version, bytes: Uint8Array): boolean => {
  try {
    createDialect(wire, { ports: () => [] })!.decode(bytes);
    return false;
  } catch (error) {
    if (error instanceof OpenFlowError) return true;
    throw error;
  }
};

interface Counters {
  connection: { malformed: number };
  cells: { ended: number };
}

describeNetwork('a hostile controller', ['ping'], () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const start = async (version: number) => {
    const net: Network<'s1', string> = await singleSwitch(2, { staticArp: true });
    cleanups.push(() => net.close());
    const [good, bad] = await Promise.all([1, 2].map(() => FakeController.start(net.switches.s1)));
    cleanups.push(() => Promise.all([good.close(), bad.close()]));
    const agent = await AgentProcess.start(net.switches.s1, {
      controllers: [good, bad].map(({ port }) => ({ host: '127.0.0.1', port })),
      connection: { retryMs: 20, hardBytes: 1 << 20 },
    });
    cleanups.push(() => agent.stop());
    const [peer, hostile] = await Promise.all([good.device(), bad.device(version)]);
    await peer.entries(...THROUGH);
    return { net, agent, peer, hostile, bad };
  };
  const barrier = (peer: Peer) => peer.call('barrier_reply', { type: 'barrier_request' });

  test.each(SPOKEN)('malformed messages of $name: an error each, and nothing is lost', async (version) => {
    // Before there are connections: it takes a while, during which nothing is answered on them.
    const messages = damaged(version, 4711).filter((bytes) => isMalformed(version, bytes));
    expect(messages.length).toBeGreaterThan(500);
    const { net, agent, peer, hostile } = await start(version.wire);
    await serve(net.hosts.h2, 'udp-echo', ECHO_PORT);
    const flow = await Probe.start(net.hosts.h1, net.hosts.h2.ip, ECHO_PORT, PROBES_PER_SECOND);
    for (const bytes of messages) hostile.write(bytes);
    await Promise.all([barrier(peer), barrier(hostile)]);
    // An error is not answered by an error.
    const errors = messages.filter((bytes) => bytes[1] === OFPT_ERROR).length;
    expect(hostile.received.filter(({ type }) => type === 'error')).toHaveLength(messages.length - errors);
    expect(peer.received.filter(({ type }) => type === 'error')).toEqual([]);
    const counters = await agent.local<Counters & Record<string, unknown>>('/counters');
    expect(counters).toMatchObject({ connection: { malformed: messages.length }, cells: { ended: 0 } });
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
  });

  test.each(SPOKEN)(
    'damaged messages of $name that may mean anything: the switch can be used again',
    async (version) => {
      const messages = damaged(version, 815);
      const { agent, peer, hostile, bad } = await start(version.wire);
      // What it is told may be answers to what nobody would ask.
      hostile.socket.removeAllListeners('data').resume();
      for (const bytes of messages) if (hostile.open) hostile.write(bytes);
      hostile.socket.end();
      await hostile.ended();
      const next = await bad.device(version.wire);
      await barrier(next);
      await peer.call('role_reply', { type: 'role_request', role: 1, generation_id: 0n });
      peer.send({ type: 'dispatch_config', miss: 1 }, { type: 'flow_mod', command: 3, table_id: 255 });
      await peer.entries(...THROUGH);
      const sum = await peer.call('multipart_reply', {
        type: 'multipart_request',
        body: { type: 'aggregate' },
      });
      expect(sum.body).toMatchObject({ flow_count: THROUGH.length });
      expect((await agent.local<Counters>('/counters')).connection.malformed).toBeGreaterThan(0);
    },
  );

  test('that reads nothing: its connection ends when too much waits for it', async () => {
    const { net, agent, peer, hostile } = await start(4);
    await serve(net.hosts.h2, 'udp-echo', ECHO_PORT);
    const flow = await Probe.start(net.hosts.h1, net.hosts.h2.ip, ECHO_PORT, PROBES_PER_SECOND);
    hostile.socket.pause();
    const ask = { type: 'multipart_request', body: { type: 'table_features' } } as const;
    hostile.send(...Array.from({ length: 100 }, () => ask));
    await agent.shows<{ controllers: { state: string }[] }>('/status', ({ controllers }) => {
      return controllers.some(({ state }) => state !== 'established');
    });
    await barrier(peer);
    hostile.socket.destroy();
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
    expect((await agent.local<Counters>('/counters')).cells.ended).toBe(0);
  });
});
