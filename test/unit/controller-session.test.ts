import { afterEach, expect, test } from 'vitest';
import type { ControllerOptions, Datapath, DeviceError } from '../../controller/index.ts';
import { encode, type MessageInit } from '../../openflow/index.ts';
import { FLOWCELL_VERSION } from '../../openflow/translate/negotiate.ts';
import { VirtualTime } from '../../testing/time.ts';
import { Bench, portDesc } from '../support/controller.ts';

const benches: Bench[] = [];

async function start(options: Partial<ControllerOptions> = {}): Promise<Bench> {
  const bench = await Bench.start(options);
  benches.push(bench);
  return bench;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
});

const only = (bench: Bench): Datapath => [...bench.controller.datapaths.values()][0];

/** Lets so many milliseconds pass for a controller that was started with this time. */
function pass(time: VirtualTime, ms: number): void {
  const until = time.now() + ms;
  while (time.step(until));
}

/** Resolves when a device has gone; from the time it is called on. */
function gone(bench: Bench): Promise<void> {
  return new Promise((resolve) => {
    const end = bench.controller.events.subscribe((event) => {
      if (event.type !== 'disconnected') return;
      end();
      resolve();
    });
  });
}

const hello = (version: number, versions?: number[]): Uint8Array => {
  const bytes = encode({
    type: 'hello',
    elements: versions === undefined ? [] : [{ type: 'versionbitmap', versions }],
  });
  bytes[0] = version;
  return bytes;
};

test('the handshake: hello with bitmap, features, ports, then the device is there', async () => {
  const bench = await start();
  const device = await bench.device({ id: 0xabn, ports: [1, 7] });
  const offer = await device.next('hello');
  expect(offer.version).toBe(6);
  expect(offer.elements).toEqual([{ type: 'versionbitmap', versions: [1, 4, 5, 6, FLOWCELL_VERSION] }]);
  const datapath = only(bench);
  expect(datapath.name).toBe('00000000000000ab');
  expect([...datapath.ports.keys()]).toEqual([1, 7]);
  expect(datapath.flowMode).toBe(true);
});

test.each([
  ['a bitmap with 1.3 under an older header', 1, [1, 4]],
  ['a bitmap with 1.3 under a newer header', 6, [4, 6]],
  ['no bitmap and version 1.3', 4, undefined],
  ['no bitmap and a newer version', 5, undefined],
])('speaks 1.3, where it is the only one, with %s', async (_title, version, versions) => {
  const bench = await start({ protocols: [4] });
  const device = await bench.connect({ handshake: false });
  device.sendBytes(hello(version, versions));
  expect((await device.next('features_request')).type).toBe('features_request');
});

test.each([
  ['a bitmap without 1.3', [4], 6, [1, 6], 'speaks OpenFlow 1.3, the device offers 1.0, 1.5'],
  ['OpenFlow 1.0 without a bitmap', [4], 1, undefined, 'the device offers up to 1.0'],
  ['1.1 and 1.2', [6, 1, 4], 3, [2, 3], 'speaks OpenFlow 1.0, 1.3, 1.5, the device offers 1.1, 1.2'],
  ['a version that we do not have', undefined, 3, undefined, 'the device offers up to 1.2'],
  ['an empty bitmap', undefined, 4, [], 'the device offers none'],
])('answers HELLO_FAILED to %s, says why, and closes', async (_title, protocols, version, versions, why) => {
  const bench = await start({ protocols });
  const device = await bench.connect({ handshake: false });
  device.sendBytes(hello(version, versions));
  const error = await device.next('error');
  expect([error.error_type, error.code]).toEqual([0, 0]);
  expect(new TextDecoder().decode(error.data)).toContain(why);
  await device.closed;
  expect(bench.controller.counters.handshakes_failed).toBe(1);
  expect(bench.log.lines.some(({ sentence }) => sentence.includes(why))).toBe(true);
});

test.each([[[]], [[2]], [[4, 7]]])('there is no controller that speaks %j', async (protocols) => {
  await expect(Bench.start({ protocols })).rejects.toMatchObject({ code: 'FC_PROTOCOL_UNKNOWN' });
});

test('a first message that is no hello fails the handshake', async () => {
  const bench = await start();
  const device = await bench.connect({ handshake: false });
  device.send({ type: 'barrier_reply', xid: 9 });
  const error = await device.next('error');
  expect([error.error_type, error.code, error.xid]).toEqual([0, 0, 9]);
  await device.closed;
});

test('a device that never finishes the handshake is closed', async () => {
  const bench = await start({ limits: { handshakeMs: 60 } });
  const device = await bench.connect({ handshake: false });
  await device.closed;
  expect(bench.controller.counters.handshakes_failed).toBe(1);
});

test('a silent device is asked for an echo, and given up when it stays silent', async () => {
  const time = new VirtualTime();
  const bench = await start({ time, limits: { echoIdleMs: 30, echoTimeoutMs: 120 } });
  const device = await bench.device();
  pass(time, 60);
  await device.next('echo_request');
  device.socket.pause();
  const ended = gone(bench);
  pass(time, 200);
  await ended;
  expect(bench.controller.counters.keepalive_timeouts).toBe(1);
  expect(bench.controller.datapaths.size).toBe(0);
});

test('a device that answers echoes stays', async () => {
  const time = new VirtualTime();
  const bench = await start({ time, limits: { echoIdleMs: 20, echoTimeoutMs: 100 } });
  const device = await bench.device();
  for (let i = 0; i < 4; i++) {
    pass(time, 60);
    await device.next('echo_request');
    // Behind the device's answer.
    await device.settled();
  }
  expect(bench.controller.datapaths.size).toBe(1);
});

test('echo requests are answered with their data', async () => {
  const bench = await start();
  const device = await bench.device();
  device.send({ type: 'echo_request', xid: 77, data: new Uint8Array([1, 2, 3]) });
  const reply = await device.next('echo_reply');
  expect([reply.xid, [...reply.data]]).toEqual([77, [1, 2, 3]]);
});

test('a message whose rest never comes ends the connection', async () => {
  const bench = await start({ limits: { partialMessageMs: 50 } });
  const device = await bench.device();
  device.sendBytes(new Uint8Array([4, 2, 0xff, 0xff, 0, 0, 0, 1]));
  await device.closed;
  expect(bench.controller.counters.partial_message_timeouts).toBe(1);
});

test('a message in two pieces is one message', async () => {
  const bench = await start();
  const device = await bench.device();
  const bytes = encode({ type: 'echo_request', xid: 5, data: new Uint8Array(100) });
  device.sendBytes(bytes.subarray(0, 3));
  await new Promise((resolve) => setImmediate(resolve));
  device.sendBytes(bytes.subarray(3));
  expect((await device.next('echo_reply')).data.length).toBe(100);
});

test.each<[string, Uint8Array, number, number]>([
  ['an unknown type', new Uint8Array([4, 99, 0, 8, 0, 0, 0, 9]), 1, 1],
  ['a wrong version', new Uint8Array([1, 2, 0, 8, 0, 0, 0, 9]), 1, 0],
  ['a packet_in that is too short', new Uint8Array([4, 10, 0, 12, 0, 0, 0, 9, 0, 0, 0, 0]), 1, 6],
  ['a message that is not for a controller', encode({ type: 'features_request', xid: 9 }), 1, 1],
  ['an unknown experimenter', encode({ type: 'experimenter', xid: 9, experimenter: 1, exp_type: 1 }), 1, 3],
])('answers %s with the error of the specification, and lives on', async (_title, bytes, type, code) => {
  const bench = await start();
  const device = await bench.device();
  device.sendBytes(bytes);
  const error = await device.next('error');
  expect([error.error_type, error.code, error.xid]).toEqual([type, code, 9]);
  expect([...error.data]).toEqual([...bytes]);
  await device.settled();
  expect(bench.controller.datapaths.size).toBe(1);
});

test('a length below 8 cannot be skipped: error, then the end', async () => {
  const bench = await start();
  const device = await bench.device();
  device.sendBytes(new Uint8Array([4, 2, 0, 4, 0, 0, 0, 9]));
  const error = await device.next('error');
  expect([error.error_type, error.code]).toEqual([1, 6]);
  await device.closed;
});

test('malformed errors are not answered by errors', async () => {
  const bench = await start();
  const device = await bench.device();
  device.sendBytes(new Uint8Array([4, 1, 0, 9, 0, 0, 0, 9, 0]));
  await device.settled();
  expect(device.all('error')).toEqual([]);
  expect(bench.controller.counters.malformed_messages).toBe(1);
});

test('a flood of malformed messages gets a bounded number of errors and log lines', async () => {
  const bench = await start({ limits: { maxErrorRepliesPerSecond: 10 } });
  const device = await bench.device();
  const bad = new Uint8Array([4, 99, 0, 8, 0, 0, 0, 9]);
  device.sendBytes(Buffer.concat(Array.from({ length: 5000 }, () => bad)));
  await device.settled();
  const { malformed_messages, errors_out, error_replies_suppressed } = bench.controller.counters;
  expect(malformed_messages).toBe(5000);
  expect(errors_out).toBe(device.all('error').length);
  expect(errors_out + error_replies_suppressed).toBe(5000);
  expect(errors_out).toBeLessThan(200);
  expect(bench.log.codes().filter((code) => code === 'FC_OF_BAD_REQUEST_BAD_TYPE').length).toBeLessThan(20);
});

test('random bytes never crash the controller', async () => {
  const bench = await start();
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  };
  for (let round = 0; round < 30; round++) {
    const device = await bench.device();
    for (let i = 0; i < 50; i++) {
      const bytes = new Uint8Array(8 + (random() % 120)).map(() => random());
      // Half of them frame correctly, so that the decoders are reached.
      if (random() % 2 === 0) {
        bytes[0] = 4;
        bytes[1] = random() % 30;
        bytes[2] = 0;
        bytes[3] = bytes.length;
      }
      device.sendBytes(bytes);
    }
    device.socket.end();
    await device.closed;
  }
  expect(bench.log.codes()).not.toContain('FC_INTERNAL');
  const device = await bench.device({ id: 99n });
  await device.settled();
});

test('what is sent in one turn arrives in one write', async () => {
  const bench = await start();
  const device = await bench.device();
  await device.settled();
  const { writes } = bench.controller.counters;
  const datapath = only(bench);
  for (let i = 0; i < 200; i++) datapath.addFlow({ priority: i });
  await datapath.barrier();
  await device.settled();
  expect(device.all('flow_mod').length).toBe(200);
  // The entries and the barrier in one write, the echo reply in another.
  expect(bench.controller.counters.writes - writes).toBe(2);
});

test('requests: reply, error of the device, time limit', async () => {
  const time = new VirtualTime();
  const bench = await start({ time, limits: { requestMs: 80 } });
  const device = await bench.device();
  const datapath = only(bench);
  const role: MessageInit = { type: 'role_request', role: 2 };
  const answered = datapath.request({ ...role });
  const request = await device.next('role_request');
  device.send({ type: 'role_reply', xid: request.xid, role: 2 });
  expect(await answered).toMatchObject({ type: 'role_reply', role: 2 });

  const refused = datapath.request({ ...role });
  const again = await device.next('role_request');
  device.send({ type: 'error', xid: again.xid, error_type: 11, code: 1, data: encode(again) });
  const error = await refused.catch((thrown: DeviceError) => thrown);
  expect(error).toMatchObject({ code: 'FC_DEVICE_ERROR', errorType: 11, errorCode: 1, xid: again.xid });

  const ignored = datapath.request({ ...role });
  pass(time, 200);
  await expect(ignored).rejects.toMatchObject({ code: 'FC_REQUEST_TIMEOUT' });
  expect(bench.controller.counters.request_timeouts).toBe(1);
});

test("a device's own message with the xid of a request is not its reply", async () => {
  const bench = await start();
  const device = await bench.device();
  const answered = only(bench).request({ type: 'role_request', role: 1 });
  const { xid } = await device.next('role_request');
  device.send(
    { type: 'packet_in', xid, total_len: 0, reason: 0, match: { in_port: 1 } },
    { type: 'role_reply', xid, role: 3 },
  );
  expect(await answered).toMatchObject({ type: 'role_reply' });
});

test('multipart replies are joined, and bounded', async () => {
  const bench = await start({ limits: { maxMultipartBytes: 4096 } });
  const device = await bench.device();
  const datapath = only(bench);
  const stats = (port_no: number) => ({ port_no, rx_packets: BigInt(port_no) });
  const answered = datapath.portStats();
  const { xid } = await device.next('multipart_request').then(() => device.next('multipart_request'));
  for (const [flags, ports] of [
    [1, [1, 2]],
    [1, [3]],
    [0, [4]],
  ] as const) {
    device.send({
      type: 'multipart_reply',
      xid,
      flags,
      body: { type: 'port_stats', ports: ports.map(stats) },
    });
  }
  expect((await answered).map(({ port_no }) => port_no)).toEqual([1, 2, 3, 4]);

  const tooMuch = datapath.portStats();
  const request = await device.next('multipart_request');
  const ports = Array.from({ length: 30 }, (_, i) => stats(i));
  for (let i = 0; i < 3; i++) {
    device.send({
      type: 'multipart_reply',
      xid: request.xid,
      flags: 1,
      body: { type: 'port_stats', ports },
    });
  }
  await expect(tooMuch).rejects.toMatchObject({ code: 'FC_REPLY_TOO_LARGE' });
  expect(bench.controller.counters.multipart_overflows).toBe(1);
});

test('requests fail when the device goes, and more than the limit are refused', async () => {
  const bench = await start({ limits: { maxRequests: 2 } });
  const device = await bench.device();
  const datapath = only(bench);
  const waiting = [1, 2, 3].map(() => datapath.request({ type: 'role_request', role: 1 }));
  const outcomes = Promise.allSettled(waiting);
  await device.next('role_request');
  await device.end();
  const codes = (await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.code);
  expect(codes).toEqual(['FC_DISCONNECTED', 'FC_DISCONNECTED', 'FC_TOO_MANY_REQUESTS']);
});

test('a device that does not read is closed when too much waits for it', async () => {
  const bench = await start({ limits: { maxOutgoingBytes: 1 << 20 } });
  const device = await bench.device();
  device.socket.pause();
  const datapath = only(bench);
  const data = new Uint8Array(60_000);
  for (let i = 0; i < 2000 && datapath.connected; i++) {
    datapath.packetOut({ data, actions: [{ type: 'output', port: 1 }] });
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(datapath.connected).toBe(false);
  expect(bench.controller.counters.outgoing_overflows).toBe(1);
});

test('controllers that share a port have some of the devices each', async () => {
  const one = await start({ reusePort: true });
  const other = await start({ reusePort: true, port: one.controller.port });
  const sizes = () => [one, other].map(({ controller }) => controller.datapaths.size);
  // The kernel chooses; that it gives the same one 64 devices in a row does not happen.
  let devices = 0;
  while (Math.min(...sizes()) === 0 && devices < 64) {
    const device = await one.connect({ id: BigInt(++devices) });
    await device.next('dispatch_config');
    await device.settled();
  }
  const [here, there] = sizes();
  expect(here + there).toBe(devices);
  expect(Math.min(here, there)).toBe(1);
});

test('a flood from one device does not keep another waiting, and nothing of it is lost', async () => {
  const bench = await start();
  const { counters } = bench.controller;
  const flood = await bench.device({ id: 1n });
  const quiet = await bench.device({ id: 2n });
  const message = encode({
    type: 'packet_in',
    total_len: 64,
    reason: 0,
    match: { in_port: 1 },
    data: new Uint8Array(64),
  });
  const count = 40_000;
  const bytes = Buffer.concat(Array.from({ length: count }, () => message));
  const before = counters.bytes_in;
  flood.sendBytes(bytes);
  await quiet.settled();
  // One read in each turn: those of the flood until the echo was read, answered, and the answer read.
  expect(counters.bytes_in - before).toBeLessThan(8 * 65_536);
  await flood.settled();
  expect(counters.packet_ins).toBe(count);
  expect(counters.reads_yielded).toBeGreaterThan(0);
});

test('a device that stops reading is given up even when little enough waits for it', async () => {
  const time = new VirtualTime();
  const bench = await start({
    time,
    limits: { pauseOutgoingBytes: 1 << 18, maxOutgoingBytes: 1 << 30, echoIdleMs: 20, echoTimeoutMs: 100 },
  });
  const { counters } = bench.controller;
  const device = await bench.device();
  device.socket.pause();
  const datapath = only(bench);
  const ended = gone(bench);
  const data = new Uint8Array(60_000);
  for (let i = 0; i < 200; i++) datapath.packetOut({ data, actions: [{ type: 'output', port: 1 }] });
  const echo = encode({ type: 'echo_request', data: new Uint8Array(8) });
  device.sendBytes(echo);
  while (counters.reads_paused === 0) await new Promise((resolve) => setImmediate(resolve));
  pass(time, 200);
  await ended;
  expect(counters).toMatchObject({ reads_paused: 1, keepalive_timeouts: 1 });
});

test('more devices than the limit are turned away', async () => {
  const bench = await start({ limits: { maxConnections: 2 } });
  await bench.device({ id: 1n });
  await bench.device({ id: 2n });
  const third = await bench.connect({ id: 3n });
  await third.closed;
  expect(bench.controller.counters.connections_refused).toBe(1);
  expect(bench.controller.datapaths.size).toBe(2);
});

test('the same datapath id again replaces the older connection', async () => {
  const bench = await start();
  const first = await bench.device({ id: 5n });
  await bench.device({ id: 5n });
  await first.closed;
  expect(bench.controller.datapaths.size).toBe(1);
});

test('auxiliary connections are closed', async () => {
  const bench = await start();
  const device = await bench.connect({ handshake: false });
  device.sendBytes(hello(4, [4]));
  const { xid } = await device.next('features_request');
  device.send({ type: 'features_reply', xid, datapath_id: 1n, n_tables: 1, auxiliary_id: 1 });
  await device.closed;
});

test('ports follow port_status', async () => {
  const bench = await start();
  const device = await bench.device({ ports: [1, 2] });
  device.send(
    { type: 'port_status', reason: 0, desc: portDesc(3) },
    { type: 'port_status', reason: 1, desc: portDesc(1) },
    { type: 'port_status', reason: 2, desc: portDesc(2, 1) },
  );
  await device.settled();
  const { ports } = only(bench);
  expect([...ports.keys()].sort()).toEqual([2, 3]);
  expect(ports.get(2)?.state).toBe(1);
});

test('stop closes devices and frees the port; twice is once', async () => {
  const bench = await start();
  const { port } = bench.controller;
  const device = await bench.device();
  await Promise.all([bench.controller.stop(), bench.controller.stop()]);
  await device.closed;
  const again = await start({ port });
  expect(again.controller.port).toBe(port);
});

test('a port in use is one sentence with a code', async () => {
  const bench = await start();
  await expect(Bench.start({ port: bench.controller.port })).rejects.toMatchObject({ code: 'FC_LISTEN' });
});

test('the controller asks for flow mode in the terms of its apps', async () => {
  const bench = await start({ apps: [{ name: 'a', flowFields: ['in_port', 'eth_src'] }] });
  const device = await bench.device();
  const config = await device.next('dispatch_config');
  expect(config).toMatchObject({ miss: 0, flags: 1, fields: 0b10001n });
});

test.each([['plain'], ['silent']] as const)(
  'a device that answers DISPATCH_CONFIG %s is an ordinary switch',
  async (mode) => {
    const seen: boolean[] = [];
    const bench = await start({
      limits: { dispatchProbeMs: 50 },
      apps: [{ name: 'watch', onDatapath: (datapath) => void seen.push(datapath.flowMode) }],
    });
    const device = await bench.device({ mode });
    await device.settled();
    expect(seen).toEqual([false]);
    expect(only(bench).flowMode).toBe(false);
    await expect(only(bench).uploadProgram({ name: 'x', code: '1' })).rejects.toMatchObject({
      code: 'FC_NOT_FLOW_MODE',
    });
  },
);

test('an error in answer to HELLO ends the connection without an answer', async () => {
  const bench = await start();
  const device = await bench.connect({ handshake: false });
  device.send({ type: 'error', error_type: 0, code: 0, data: new TextEncoder().encode('I speak 1.0 only') });
  await device.closed;
  expect(device.all('error')).toEqual([]);
  expect(bench.log.lines.some(({ sentence }) => sentence.includes('I speak 1.0 only'))).toBe(true);
});
