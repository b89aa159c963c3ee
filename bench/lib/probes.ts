/**
 * What somebody who has done nothing wrong sees of a device and its controller while others flood them, in a process of
 * its own: a flow's packets, echo requests in both directions, a flow-mod with a barrier. argv[2]: ProbeOptions as JSON.
 * Prints 'ready' when all is connected. On standard input: 'begin', then 'end', which prints ProbeResult as JSON.
 */
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { encode, FlowModCommand, Framer, messageType, messageXid, Port } from '../../openflow/index.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { accepts, until } from './datapaths.ts';
import { FakeSwitch } from './fake-switch.ts';
import { BROADCAST, NUMBER_AT, numberedFrame, packetInOf } from './frames.ts';
import { quantile, round } from './report.ts';
import { Wire } from './wire.ts';

interface End {
  namespace: string;
  interface: string;
  mac: string;
  ip: string;
}

export interface ProbeOptions {
  /** Packets of one flow, from one end to the other. */
  flow?: { from: End; to: End };
  /** TCP port where the device finds this process as a further controller. */
  listen?: number;
  /** TCP port of the controller that this process is a further device of. */
  controller?: number;
}

/** Round trips (the flow: one way), milliseconds. */
export interface Trips {
  sent: number;
  answered: number;
  p50: number;
  p99: number;
  max: number;
}

/** What was not asked for is left out. */
export interface ProbeResult {
  flow?: Trips;
  deviceEcho?: Trips;
  deviceBarrier?: Trips;
  controllerEcho?: Trips;
  controllerAnswer?: Trips;
}

const PACKET_MS = 5;
const QUESTION_MS = 10;
/** What was sent less than this before the end is on its way, not lost, ms. */
const LATE_MS = 100;
const OFPT = { HELLO: 0, ECHO_REQUEST: 2, ECHO_REPLY: 3, FEATURES_REPLY: 6, BARRIER_REPLY: 21 } as const;
/** No entry has it: the flow-mod changes nothing. */
const NO_PORT = 0xfffffe;
const DEVICE_ID = 0xbe7c;

const options = JSON.parse(process.argv[2]) as ProbeOptions;
const loop = new PollLoop();
const now = () => performance.now();

/** The same thing again and again, each on its way on its own. */
class Series {
  #askedAt = new Map<number, number>();
  #trips: number[] = [];

  begin(): void {
    // What is on its way now belongs to the time before.
    this.#askedAt.clear();
    this.#trips = [];
  }

  sent(number: number): void {
    this.#askedAt.set(number, now());
  }

  answered(number: number): void {
    const at = this.#askedAt.get(number);
    if (at === undefined) return;
    this.#askedAt.delete(number);
    this.#trips.push(now() - at);
  }

  end(): Trips {
    const answered = this.#trips.length;
    // A question without an answer has taken as long as it was waited for.
    const late = [...this.#askedAt.values()].map((at) => now() - at).filter((ms) => ms >= LATE_MS);
    const all = [...this.#trips, ...late];
    const at = (q: number) => round(quantile(all, q), 3);
    return { sent: answered + late.length, answered, p50: at(0.5), p99: at(0.99), max: at(1) };
  }
}

const series: { [K in keyof ProbeResult]: Series } = {};
/** Called at their times. */
const timers: { every: number; next: number; run: () => void }[] = [];
const every = (ms: number, run: () => void) => timers.push({ every: ms, next: now() + ms, run });

function probeFlow({ from, to }: NonNullable<ProbeOptions['flow']>): void {
  const out = new Wire(from.namespace, from.interface, false);
  const into = new Wire(to.namespace, to.interface);
  const frame = numberedFrame({ srcMac: from.mac, dstMac: to.mac, srcIp: from.ip, dstIp: to.ip });
  const view = new DataView(frame.buffer);
  const mac = frame.subarray(0, 12);
  const trips = new Series();
  series.flow = trips;
  let number = 0;
  every(PACKET_MS, () => {
    view.setUint32(NUMBER_AT, ++number);
    trips.sent(number);
    out.send(frame);
  });
  loop.watch(into.fd, () => {
    for (let length = into.receive(0); length > 0; length = into.receive(0)) {
      const b = into.received;
      if (length < frame.length || mac.some((byte, i) => byte !== b[i])) continue;
      trips.answered(new DataView(b.buffer).getUint32(NUMBER_AT));
    }
  });
}

/** One question after the other, so that a long queue is seen as a long time. */
function ask(name: keyof ProbeResult, send: (xid: number) => void): (xid: number) => void {
  const trips = new Series();
  series[name] = trips;
  let waiting = 0;
  let xid = 0;
  every(QUESTION_MS, () => {
    if (waiting !== 0) return;
    waiting = ++xid;
    trips.sent(xid);
    send(xid);
  });
  return (answered) => {
    if (answered !== waiting) return;
    trips.answered(answered);
    waiting = 0;
  };
}

/** A controller that asks the device whether it is there, and to change nothing. Resolves when the device has come. */
function beController(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  createServer({ noDelay: true }, (socket) => greet(socket, resolve)).listen(port, '127.0.0.1');
  return promise;
}

const NONE = [0, 0] as const;
/** Barriers have other transaction ids than echo requests. */
const BARRIERS = 0x40000000;

function greet(socket: Socket, there: () => void): void {
  const send = (message: Parameters<typeof encode>[0]) => void socket.write(encode(message));
  let echoed: (xid: number) => void;
  let done: (xid: number) => void;
  const framer = new Framer();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) =>
    framer.push(chunk, (bytes) => {
      const xid = messageXid(bytes);
      switch (messageType(bytes)) {
        case OFPT.HELLO:
          send({ type: 'features_request', xid: 0 });
          return;
        case OFPT.FEATURES_REPLY:
          send({ type: 'set_async', packet_in_mask: NONE, port_status_mask: NONE, flow_removed_mask: NONE });
          echoed = ask('deviceEcho', (next) => send({ type: 'echo_request', xid: next, data: NO_BYTES }));
          done = ask('deviceBarrier', (next) => {
            send({
              ...{ type: 'flow_mod', xid: 0, command: FlowModCommand.DELETE, table_id: 0 },
              ...{ out_port: Port.ANY, out_group: Port.ANY, match: { in_port: NO_PORT }, instructions: [] },
            });
            send({ type: 'barrier_request', xid: BARRIERS + next });
          });
          there();
          return;
        case OFPT.ECHO_REQUEST:
          send({ type: 'echo_reply', xid, data: NO_BYTES });
          return;
        case OFPT.ECHO_REPLY:
          echoed?.(xid);
          return;
        case OFPT.BARRIER_REPLY:
          done?.(xid - BARRIERS);
      }
    }),
  );
  send({ type: 'hello', elements: [] });
}

const NO_BYTES = new Uint8Array(0);
const PACKET_OUT_AGAIN_MS = 100;

/** A device that asks the controller whether it is there, and where packets go. Resolves when the controller answers that. */
async function beDevice(port: number): Promise<void> {
  await until('the controller listening', () => accepts(port));
  const { promise, resolve } = Promise.withResolvers<void>();
  let answered: ((xid: number) => void) | undefined;
  let question = 0;
  const packet = packetInOf('02:00:00:00:00:a1', BROADCAST, 1);
  const device = new FakeSwitch({
    ...{ port, version: 4 as const, id: DEVICE_ID, flowMode: false, tally: { responses: 0, answered: 0 } },
    connected: (self) => {
      const first = setInterval(() => self.send(packet), PACKET_OUT_AGAIN_MS);
      promise.then(() => clearInterval(first));
    },
    answered: () => {
      resolve();
      answered?.(question);
    },
    echoed: (xid) => echoed(xid),
  });
  const echoed = ask('controllerEcho', (xid) =>
    device.send(encode({ type: 'echo_request', xid, data: NO_BYTES })),
  );
  await promise;
  answered = ask('controllerAnswer', (xid) => {
    question = xid;
    device.send(packet);
  });
}

loop.each(() => {
  const time = now();
  let earliest = Number.POSITIVE_INFINITY;
  for (const timer of timers) {
    if (time >= timer.next) {
      timer.run();
      // Not all that were missed at once.
      timer.next = Math.max(timer.next + timer.every, time);
    }
    earliest = Math.min(earliest, timer.next);
  }
  loop.deadline(earliest);
});
loop.start();
if (options.flow !== undefined) probeFlow(options.flow);
await Promise.all([
  options.listen === undefined ? undefined : beController(options.listen),
  options.controller === undefined ? undefined : beDevice(options.controller),
]);
process.stdout.write('ready\n');

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'begin') {
    for (const one of Object.values(series)) one.begin();
    return;
  }
  const result = Object.fromEntries(Object.entries(series).map(([name, one]) => [name, one.end()]));
  process.stdout.write(`${JSON.stringify(result)}\n`);
});
