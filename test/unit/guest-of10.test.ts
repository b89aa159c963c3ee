/** OpenFlow 1.0 actions in a cell (docs/protocol.md), and queues. */
import { describe, expect, it } from 'vitest';
import {
  type ActionInit,
  BadActionCode,
  ErrorType,
  FLOWCELL_EXPERIMENTER,
  type Message,
  type MessageInit,
} from '../../openflow/index.ts';
import { arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vlan } from '../../packet/index.ts';
import { NO_QUEUE } from '../../sandbox/channel/layout.ts';
import { GuestHarness } from '../support/guest-harness.ts';

/** An action of OpenFlow 1.0: type, length, and the rest. */
const of10 = (type: number, ...rest: number[]): ActionInit => ({
  type: 'experimenter',
  experimenter: FLOWCELL_EXPERIMENTER,
  data: Uint8Array.of(0, type, 0, rest.length + 4, ...rest),
});
const setVid = (vid: number) => of10(1, vid >> 8, vid & 255, 0, 0);
const setPcp = (pcp: number) => of10(2, pcp, 0, 0, 0);
const strip = of10(3, 0, 0, 0, 0);
const setSource = of10(6, 10, 9, 8, 7);
const setDestination = of10(7, 10, 6, 5, 4);
const setTos = (tos: number) => of10(8, tos, 0, 0, 0);
const setSourcePort = (port: number) => of10(9, port >> 8, port & 255, 0, 0);
const setDestinationPort = (port: number) => of10(10, port >> 8, port & 255, 0, 0);
const enqueue = (port: number, queue: number) =>
  of10(11, port >> 8, port & 255, 0, 0, 0, 0, 0, 0, 0, 0, queue >> 8, queue & 255);
const output: ActionInit = { type: 'output', port: 2 };

const flow = (...actions: ActionInit[]): MessageInit => ({
  type: 'flow_mod',
  instructions: [{ type: 'apply_actions', actions }],
});

/** What becomes of a frame by these actions and an output. */
function after(frame: Uint8Array, ...actions: ActionInit[]): Uint8Array {
  const harness = new GuestHarness();
  expect(harness.ask(flow(...actions, output))).toEqual([]);
  const [sent] = harness.send(frame);
  return sent.frame;
}

interface Ip {
  src?: string;
  dst?: string;
  dscp?: number;
}
const v4 = (init: Ip = {}, payload = udp()) =>
  ethernet({
    type: 0x0800,
    payload: ipv4({ src: '10.0.0.1', dst: '10.0.0.2', proto: 17, ...init, payload }),
  });
const withTcp = (ports: { src?: number; dst?: number } = {}) => {
  const addresses = { src: '10.0.0.1', dst: '10.0.0.2' };
  return ethernet({ type: 0x0800, payload: ipv4({ ...addresses, proto: 6, payload: tcp(ports) }) });
};

describe('OpenFlow 1.0 actions', () => {
  it('set_vlan_vid and set_vlan_pcp push a tag where there is none', () => {
    expect(after(v4(), setVid(5))).toEqual(vlan(v4(), { vid: 5 }));
    expect(after(v4(), setPcp(3))).toEqual(vlan(v4(), { vid: 0, pcp: 3 }));
    expect(after(v4(), setPcp(3), setVid(9))).toEqual(vlan(v4(), { vid: 9, pcp: 3 }));
    expect(after(vlan(v4(), { vid: 7, pcp: 2 }), setVid(5))).toEqual(vlan(v4(), { vid: 5, pcp: 2 }));
  });

  it('strip_vlan takes a tag off, if there is one', () => {
    expect(after(vlan(v4(), { vid: 7 }), strip)).toEqual(v4());
    expect(after(v4(), strip)).toEqual(v4());
    expect(after(v4(), setVid(5), strip)).toEqual(v4());
  });

  it('set_nw_src, set_nw_dst and set_nw_tos change what is IP', () => {
    expect(after(v4(), setSource, setDestination, setTos(46 << 2))).toEqual(
      v4({ src: '10.9.8.7', dst: '10.6.5.4', dscp: 46 }),
    );
    const request = ethernet({ type: 0x0806, payload: arp({ op: 1 }) });
    expect(after(request, setSource, setTos(4))).toEqual(request);
    const six = ethernet({ type: 0x86dd, payload: ipv6({ proto: 17, payload: udp() }) });
    expect(after(six, setSource)).toEqual(six);
  });

  it('set_tp_src and set_tp_dst mean TCP and UDP, and nothing else', () => {
    expect(after(withTcp(), setSourcePort(1234), setDestinationPort(80))).toEqual(
      withTcp({ src: 1234, dst: 80 }),
    );
    expect(after(v4(), setSourcePort(1234))).toEqual(v4({}, udp({ src: 1234 })));
    expect(after(v4(), setDestinationPort(53))).toEqual(v4({}, udp({ dst: 53 })));
    const ping = v4({}, icmp({ type: 8 }));
    const echo = ping.slice();
    echo[23] = 1;
    const checksum = ((echo[24] << 8) | echo[25]) + 16;
    echo.set([checksum >> 8, checksum], 24);
    expect(after(echo, setSourcePort(3), setDestinationPort(4))).toEqual(echo);
  });

  it('enqueue names a queue for one output, set_queue for all that follow', () => {
    const harness = new GuestHarness();
    const set: ActionInit = { type: 'set_queue', queue_id: 0x12345678 };
    harness.ask(flow(output, enqueue(3, 7), output, set, output, enqueue(0xfff8, 0x0102), output));
    expect(harness.send(v4()).map(({ port, queue }) => [port, queue])).toEqual([
      [2, NO_QUEUE],
      [3, 7],
      [2, NO_QUEUE],
      [2, 0x12345678],
      [0xfffffff8, 0x0102],
      [2, 0x12345678],
    ]);
    // The next packet begins without one.
    expect(harness.send(v4())[0].queue).toBe(NO_QUEUE);
  });

  it('come back in statistics as they were given, and count as outputs where they are', () => {
    const harness = new GuestHarness();
    const actions = [setVid(5), setPcp(1), strip, setTos(8), setSourcePort(9), enqueue(3, 7)];
    harness.ask(flow(...actions));
    harness.ask({ type: 'flow_mod', table_id: 1 });
    const ask = (out_port: number) =>
      harness.ask({ type: 'multipart_request', body: { type: 'flow', out_port } });
    expect(ask(3)).toMatchObject([
      { body: { flows: [{ instructions: [{ type: 'apply_actions', actions }] }] } },
    ]);
    expect(ask(4)).toMatchObject([{ body: { flows: [] } }]);
  });

  it('serve in PACKET_OUT and groups as well', () => {
    const harness = new GuestHarness();
    harness.ask({ type: 'group_mod', command: 0, group_id: 1, buckets: [{ actions: [output, setVid(6)] }] });
    harness.ask({ type: 'packet_out', xid: 3, actions: [{ type: 'group', group_id: 1 }, setVid(5), output] });
    expect(harness.send(v4(), { packetOut: 3 }).map(({ frame }) => frame)).toEqual([
      vlan(v4(), { vid: 6 }),
      vlan(v4(), { vid: 5 }),
    ]);
  });
});

describe('errors', () => {
  const code = BadActionCode;
  const bad: [string, ActionInit, number][] = [
    [
      'another experimenter',
      { type: 'experimenter', experimenter: 5, data: new Uint8Array(8) },
      code.BAD_EXPERIMENTER,
    ],
    ['an action that 1.3 has', of10(0, 0, 1, 0, 0), code.BAD_TYPE],
    ['an action that is too long', of10(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), code.BAD_LEN],
    ['an enqueue that is too short', of10(11, 0, 1, 0, 0), code.BAD_LEN],
    [
      'nothing',
      { type: 'experimenter', experimenter: FLOWCELL_EXPERIMENTER, data: new Uint8Array(0) },
      code.BAD_LEN,
    ],
    ['a VLAN number of 13 bits', setVid(0x1005), code.BAD_ARGUMENT],
    ['a priority of 4 bits', setPcp(8), code.BAD_ARGUMENT],
    ['a TOS with ECN bits', setTos(1), code.BAD_ARGUMENT],
    ['a queue of the controller', enqueue(0xfffd, 1), code.BAD_OUT_PORT],
    ['a queue of port 0', enqueue(0, 1), code.BAD_OUT_PORT],
  ];
  it.each(bad)('%s is refused', (_, action, expected) => {
    const harness = new GuestHarness();
    const answers: Message[] = harness.ask(flow(action));
    expect(answers.map((one) => one.type === 'error' && [one.error_type, one.code])).toEqual([
      [ErrorType.BAD_ACTION, expected],
    ]);
  });
});
