/** What `flowcell devices` is asked for, and the switches that come of it. */

import { InvalidArgumentError } from 'commander';
import type { Agent, AgentGroup, FailMode } from '../../agent/index.ts';
import { UserError } from './errors.ts';
import { address, datapathHex, datapathId, integer, oneOf, protocols } from './options.ts';

/** A line of standard input. */
export interface Request {
  id: number;
  do: 'start' | 'stop' | 'wait' | 'attach' | 'detach';
  datapath_id: string;
  /** start: as the options of `flowcell agent`. */
  ports?: string[];
  controllers?: string[];
  protocols?: string;
  fail_mode?: string;
  /** start: whose process its cells are in; default 0. */
  tenant?: number;
  /** attach: NAME or NAME=NUMBER; detach: NAME. */
  port?: string;
  /** wait: until a controller is in charge, or until it also decides about flows. */
  for?: 'plain' | 'flow';
}

/** What a request to start says of the switch. Throws UserError FC_OPTION_INVALID. */
export const requested = (request: Request) => ({
  datapathId: parse(datapathId, request.datapath_id, 'datapath_id'),
  ports: request.ports ?? [],
  controllers: (request.controllers ?? []).map((text) => parse(address, text, 'controllers')),
  protocols: request.protocols === undefined ? undefined : parse(protocols, request.protocols, 'protocols'),
  failMode: parse(oneOf<FailMode>(['secure', 'standalone']), request.fail_mode ?? 'secure', 'fail_mode'),
});

type AgentOptions = Parameters<AgentGroup['add']>[0];
/** Where they run. */
export type Group = Pick<AgentGroup, 'add' | 'remove'>;
type Mode = 'plain' | 'flow';

interface Device {
  readonly started: Promise<Agent>;
  /** As far as a controller has come since the start. */
  mode: Mode | undefined;
  waiting: { for: Mode; done: () => void }[];
}

/** The switches of the process, by datapath id. */
export class Devices {
  readonly #group: Group;
  readonly #optionsOf: (request: Request, inCharge: (mode: Mode) => void) => AgentOptions;
  readonly #devices = new Map<string, Device>();
  readonly #agents = new Map<string, Agent>();

  constructor(group: Group, optionsOf: (request: Request, inCharge: (mode: Mode) => void) => AgentOptions) {
    this.#group = group;
    this.#optionsOf = optionsOf;
  }

  /** Carries out a line of standard input; resolves to its answer. */
  async answer(line: string): Promise<object> {
    let id: number | null = null;
    try {
      const request = JSON.parse(line) as Request;
      id = request.id;
      await this.#carryOut(request);
      return { id, ok: true };
    } catch (error) {
      const { message, code } = error as Error & { code?: string };
      return { id, error: message, code: code ?? 'FC_INTERNAL' };
    }
  }

  /** Names of the ports of all switches that run. */
  interfaces(): string[] {
    return [...this.#agents.values()].flatMap(({ ports }) => ports.list.map(({ name }) => name));
  }

  async #carryOut(request: Request): Promise<void> {
    const key = datapathHex(parse(datapathId, request.datapath_id, 'datapath_id'));
    if (request.do === 'start') {
      await this.#start(key, request);
      return;
    }
    const device = this.#devices.get(key);
    if (device === undefined) {
      throw new UserError('FC_AGENT_NOT_FOUND', `no switch with datapath id ${key} runs here.`);
    }
    const agent = await device.started;
    switch (request.do) {
      case 'stop':
        this.#devices.delete(key);
        this.#agents.delete(key);
        await this.#group.remove(agent);
        return;
      case 'wait':
        await inCharge(device, request.for ?? 'plain');
        return;
      case 'attach':
        agent.ports.attach(request.port ?? '');
        return;
      case 'detach':
        agent.ports.detach(request.port ?? '');
        return;
      default:
        throw new UserError('FC_OPTION_INVALID', `there is nothing called '${request.do}' to do.`);
    }
  }

  async #start(key: string, request: Request): Promise<void> {
    if (this.#devices.has(key)) {
      throw new UserError('FC_ALREADY_RUNNING', `a switch with datapath id ${key} runs here already.`);
    }
    const options = this.#optionsOf(request, (mode) => {
      device.mode = device.mode === 'flow' ? 'flow' : mode;
      for (const waiter of device.waiting) if (reached(device, waiter.for)) waiter.done();
      device.waiting = device.waiting.filter((waiter) => !reached(device, waiter.for));
    });
    const tenant = parse(integer(0, 999), request.tenant ?? 0, 'tenant');
    const device: Device = { started: this.#group.add(options, tenant), mode: undefined, waiting: [] };
    this.#devices.set(key, device);
    try {
      this.#agents.set(key, await device.started);
    } catch (error) {
      this.#devices.delete(key);
      throw error;
    }
  }
}

const reached = ({ mode }: Device, wanted: Mode): boolean =>
  mode === wanted || (mode === 'flow' && wanted === 'plain');

const inCharge = (device: Device, wanted: Mode): Promise<void> =>
  new Promise((done) => {
    if (reached(device, wanted)) done();
    else device.waiting.push({ for: wanted, done });
  });

/** Options' parsers on JSON: their complaint becomes a sentence about the field. */
function parse<T>(parser: (text: string) => T, text: unknown, field: string): T {
  try {
    return parser(String(text));
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UserError('FC_OPTION_INVALID', `${field} '${text}' is wrong. ${error.message}`);
  }
}
