/** Where the traffic suite runs: a virtual network, and a real agent among network interfaces. */
import type { FlowEntry } from '../../controller/index.ts';
import { flowModMessage } from '../../controller/rules.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import {
  CellState,
  DispatchCommand,
  DispatchFlag,
  DispatchMiss,
  encode,
  FlowModCommand,
  Group,
  GroupModCommand,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  Meter,
  MeterModCommand,
  Port,
  Table,
} from '../../openflow/index.ts';
import { ethernet } from '../../packet/index.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { single, type FakeController as VirtualController, VirtualNetwork } from '../../testing/index.ts';
import { TesterPort } from '../conformance/tester-port.ts';
import { AgentProcess, FakeController, PATIENT_CELL, type Peer } from './agent-lab.ts';
import {
  type Input,
  type Mode,
  type Observed,
  observed,
  PORTS,
  type Scenario,
  type TrafficLab,
} from './traffic-suite.ts';

const ANY = { out_port: Port.ANY, out_group: Group.ANY };
const CLEAR: readonly MessageInit[] = [
  { type: 'flow_mod', command: FlowModCommand.DELETE, table_id: Table.ALL, ...ANY },
  { type: 'group_mod', command: GroupModCommand.DELETE, group_id: Group.ALL },
  { type: 'meter_mod', command: MeterModCommand.DELETE, meter_id: Meter.ALL },
];
const added = (entry: FlowEntry): MessageInit => flowModMessage(entry, FlowModCommand.ADD, 0);
const statistics = (type: 'flow' | 'group'): MessageInitOf<'multipart_request'> => ({
  type: 'multipart_request',
  body: type === 'flow' ? { type, table_id: Table.ALL, ...ANY } : { type, group_id: Group.ALL },
});

/** How packets that no rule matches are treated, in each mode. */
const dispatch = (mode: Mode): MessageInit => ({
  type: 'dispatch_config',
  miss: mode === 'flow' ? DispatchMiss.QUERY : DispatchMiss.DEFAULT_CELL,
  query_timeout_ms: 5000,
});
/** A cell for every packet there is. */
const WHOLE_SWITCH: MessageInit = {
  ...{ type: 'dispatch_rule', priority: 1, match: {}, cells: [PATIENT_CELL] },
  flags: DispatchFlag.CACHEABLE,
};

/** Messages as they are said to one cell: by the match where there is one, else wrapped. */
const toCell = (message: MessageInit, cell: number | undefined): MessageInit => {
  if (cell === undefined) return message;
  if (message.type === 'flow_mod') return { ...message, match: { ...message.match, cell } };
  if (message.type === 'multipart_request' && message.body.type === 'flow') {
    return { ...message, body: { ...message.body, match: { cell } } };
  }
  if (!['group_mod', 'meter_mod', 'multipart_request'].includes(message.type)) return message;
  return { type: 'cell_message', cell, message: encode(message) };
};

/** Transaction ids of the lab's own requests: those of controllers count from 1. */
const FIRST_XID = 1 << 20;
let lastXid = FIRST_XID;

/** Statistics of the default cell or of this one. */
const ask = async (
  controller: Pick<VirtualController, 'send' | 'next'> | Peer,
  type: 'flow' | 'group',
  cell: number | undefined,
): Promise<MessageOf<'multipart_reply'>> => {
  const xid = ++lastXid;
  controller.send(toCell({ ...statistics(type), xid }, cell));
  return await controller.next('multipart_reply', (reply) => reply.xid === xid);
};

/** Opens the cell that all packets go to. */
const openCell = async (controller: Pick<VirtualController, 'send' | 'next'> | Peer): Promise<number> => {
  controller.send(WHOLE_SWITCH);
  const { state, cell } = await controller.next('cell_status');
  if (state !== CellState.READY) throw new Error(`the cell was not opened: ${state}`);
  return cell;
};

const flowsIn = ({ body }: MessageOf<'multipart_reply'>) =>
  body.type === 'flow' ? body.flows.filter(({ priority }) => priority !== MARKER_PRIORITY) : [];
const groupsIn = ({ body }: MessageOf<'multipart_reply'>) => (body.type === 'group' ? body.groups : []);

export const virtualLab: TrafficLab = {
  async run({ setup = [], entries, inputs }: Scenario, mode: Mode): Promise<Observed> {
    const net = await VirtualNetwork.create(single(PORTS.length));
    const hosts = PORTS.map((port) => net.hosts[`h${port}`]);
    for (const host of hosts) host.answers = false;
    const controller: VirtualController = await net.control(net.switches.s1);
    if (mode === 'flow') await controller.request(dispatch(mode));
    const cell = mode === 'flow' ? await openCell(controller) : undefined;
    await controller.confirm(...[...setup, ...entries.map(added)].map((message) => toCell(message, cell)));
    for (const input of inputs) {
      if ('frame' in input) hosts[input.port - 1].send(input.frame);
      else {
        const message = await complete(input.message, (request) => controller.request(request));
        controller.send(toCell(message, cell));
      }
      await net.settle();
    }
    const frames = hosts.map(({ heard }) => heard.map(({ frame }) => frame));
    const packetIns = controller.take('packet_in');
    const errors = controller.take('error');
    const flows = flowsIn(await ask(controller, 'flow', cell));
    const groups = groupsIn(await ask(controller, 'group', cell));
    await net.close();
    return observed(frames, { packetIns, errors, flows, groups });
  },
};

/** A PORT_MOD names the port's address, which only the switch knows. */
const complete = async (
  message: MessageInit,
  ask: (request: MessageInit) => Promise<Message>,
): Promise<MessageInit> => {
  if (message.type !== 'port_mod') return message;
  const reply = await ask({ type: 'multipart_request', body: { type: 'port_desc' } });
  const ports = reply.type === 'multipart_reply' && reply.body.type === 'port_desc' ? reply.body.ports : [];
  const found = ports.find(({ port_no }) => port_no === message.port_no);
  return found === undefined ? message : { ...message, hw_addr: found.hw_addr };
};

/** Leaves by port 3 when everything before it has: no scenario sends or blocks the like. */
const MARKER_PORT = 3;
const MARKER_TYPE = 0x88b5;
const MARKER_PRIORITY = 0xffff;
const marker = (number: number): Uint8Array =>
  ethernet({ type: MARKER_TYPE, payload: Uint8Array.from([number >> 8, number]) });
/** In a cell of its own a PACKET_OUT marks nothing: there a frame that comes in by the port leaves by it again. */
const MARKER_ENTRY: FlowEntry = {
  priority: MARKER_PRIORITY,
  match: { in_port: MARKER_PORT, eth_type: MARKER_TYPE },
  actions: [{ type: 'output', port: Port.IN_PORT }],
};

export class RealLab implements TrafficLab {
  readonly #net: Network<'s1', string>;
  readonly #controller: FakeController;
  readonly #agent: AgentProcess;
  readonly #peer: Peer;
  readonly #loop = new PollLoop();
  readonly #ports: readonly TesterPort[];
  #frames: Uint8Array[][] = PORTS.map(() => []);
  /** Since the beginning, markers included. */
  #heard = 0;
  #markers = 0;
  #marked: (() => void) | undefined;
  /** That of the flow mode, while a scenario runs in it. */
  #cell: number | undefined;

  /** `fastPath`: the agent's option. */
  static async open(fastPath: unknown = false): Promise<RealLab> {
    const net = await singleSwitch(PORTS.length);
    const controller = await FakeController.start(net.switches.s1);
    const agent = await AgentProcess.start(net.switches.s1, {
      controllers: [{ host: '127.0.0.1', port: controller.port }],
      fastPath,
    });
    return new RealLab(net, controller, agent, await controller.device());
  }

  private constructor(
    net: Network<'s1', string>,
    controller: FakeController,
    agent: AgentProcess,
    peer: Peer,
  ) {
    this.#net = net;
    this.#controller = controller;
    this.#agent = agent;
    this.#peer = peer;
    this.#ports = Object.values(net.hosts).map(
      (host, index) => new TesterPort(index + 1, host.namespace, host.interface),
    );
    for (const port of this.#ports) this.#loop.watch(port.fd, () => this.#receive(port));
  }

  async run(scenario: Scenario, mode: Mode): Promise<Observed> {
    this.#loop.start();
    try {
      return await this.#run(scenario, mode);
    } finally {
      // What it runs beside would wait for it at every turn of its own.
      this.#loop.stop();
      await new Promise(setImmediate);
    }
  }

  async #run({ setup = [], entries, inputs }: Scenario, mode: Mode): Promise<Observed> {
    const peer = this.#peer;
    await peer.call('dispatch_config', dispatch(mode));
    await this.#confirm(...CLEAR, ...this.#defaults(await this.#describe()));
    this.#frames = PORTS.map(() => []);
    peer.received.length = 0;
    if (mode === 'flow') {
      this.#cell = await openCell(peer);
      await this.#confirm(toCell(added(MARKER_ENTRY), this.#cell));
    }
    await this.#confirm(...[...setup, ...entries.map(added)].map((message) => toCell(message, this.#cell)));
    for (const run of runs(inputs)) {
      if ('frame' in run[0]) await this.#frameRun(run as Extract<Input, { frame: Uint8Array }>[]);
      else
        for (const input of run)
          await this.#message((input as Extract<Input, { message: MessageInit }>).message);
    }
    const taken = <T extends 'packet_in' | 'error'>(type: T) =>
      peer.received.filter((message) => message.type === type) as MessageOf<T>[];
    const flows = flowsIn(await ask(peer, 'flow', this.#cell));
    const groups = groupsIn(await ask(peer, 'group', this.#cell));
    // A marker is seen on its port before what the agent sent its controller has come; a cell's answer is not.
    const packetIns = taken('packet_in');
    const errors = taken('error');
    if (this.#cell !== undefined) {
      peer.send({ type: 'dispatch_rule', command: DispatchCommand.DELETE, cell: this.#cell });
      await this.#confirm();
      this.#cell = undefined;
    }
    return observed(this.#frames, { packetIns, errors, flows, groups });
  }

  /** Packets that no cell has seen. */
  async forwardedByKernel(): Promise<number> {
    const { fast_path } = await this.#agent.local<{ fast_path?: { hitPackets: number } }>('/counters');
    return fast_path?.hitPackets ?? 0;
  }

  async close(): Promise<void> {
    for (const port of this.#ports) port.close();
    await this.#agent.stop();
    await this.#controller.close();
    await this.#net.close();
  }

  async #message(message: MessageInit): Promise<void> {
    const ask = (request: MessageInit) => this.#peer.call('multipart_reply', request);
    this.#peer.send(toCell(await complete(message, ask), this.#cell));
    await this.#confirm();
    await this.#fence();
  }

  async #frameRun(run: readonly Extract<Input, { frame: Uint8Array }>[]): Promise<void> {
    const before = (await this.#counts()).received;
    for (const { port, frame } of run) this.#ports[port - 1].send(frame);
    // The agent reads its ports when it comes to it; nothing announces that.
    while ((await this.#counts()).received < before + run.length);
    await this.#fence();
  }

  /** Packets that the agent has received, those included that its ports were not to receive, and has sent. */
  async #counts(): Promise<{ received: number; sent: number }> {
    const request = { type: 'port_stats' as const, port_no: Port.ANY };
    const { body } = await this.#peer.call('multipart_reply', { type: 'multipart_request', body: request });
    const ports = body.type === 'port_stats' ? body.ports : [];
    return {
      received: ports.reduce((sum, { rx_packets, rx_dropped }) => sum + Number(rx_packets + rx_dropped), 0),
      sent: ports.reduce((sum, { tx_packets }) => sum + Number(tx_packets), 0),
    };
  }

  /** Everything the cell was given so far has left. */
  async #fence(): Promise<void> {
    const data = marker(++this.#markers);
    const marked = new Promise<void>((resolve) => {
      this.#marked = resolve;
    });
    const actions = [{ type: 'output' as const, port: MARKER_PORT, max_len: 0 }];
    this.#peer.send({ type: 'packet_out', in_port: Port.CONTROLLER, actions, data });
    await marked;
    if (this.#cell !== undefined) await this.#fenceCell();
    // What the kernel forwards may be beside the markers, on another CPU; it is counted before it is there.
    const { sent } = await this.#counts();
    while (this.#heard < sent) {
      for (const port of this.#ports) this.#receive(port);
      await new Promise(setImmediate);
    }
  }

  async #fenceCell(): Promise<void> {
    const marked = new Promise<void>((resolve) => {
      this.#marked = resolve;
    });
    this.#ports[MARKER_PORT - 1].send(marker(++this.#markers));
    await marked;
  }

  #receive(port: TesterPort): void {
    const expected = Buffer.from(marker(this.#markers));
    port.receive((frame) => {
      this.#heard++;
      if (port.number === MARKER_PORT && expected.equals(frame)) this.#marked?.();
      else this.#frames[port.number - 1].push(frame.slice());
    });
  }

  async #confirm(...messages: MessageInit[]): Promise<void> {
    this.#peer.send(...messages);
    await this.#peer.call('barrier_reply', { type: 'barrier_request' });
  }

  async #describe() {
    const request = { type: 'multipart_request', body: { type: 'port_desc' } } as const;
    const { body } = await this.#peer.call('multipart_reply', request);
    return body.type === 'port_desc' ? body.ports : [];
  }

  #defaults(ports: readonly { port_no: number; hw_addr: string; config: number }[]): MessageInit[] {
    return ports
      .filter(({ config }) => config !== 0)
      .map(({ port_no, hw_addr, config }) => ({
        type: 'port_mod',
        port_no,
        hw_addr,
        config: 0,
        mask: config,
      }));
  }
}

/** Inputs of one kind that follow each other. */
const runs = (inputs: readonly Input[]): Input[][] => {
  const found: Input[][] = [];
  for (const input of inputs) {
    const last = found.at(-1);
    if (last !== undefined && 'frame' in last[0] === 'frame' in input) last.push(input);
    else found.push([input]);
  }
  return found;
};
