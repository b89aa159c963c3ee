/**
 * `flowcell devices`: the switches of a network emulated on this machine, in one process.
 *
 * Requests and answers are lines of JSON on standard input and output. An answer has its request's `id`, and either
 * `ok: true` or `error` (a sentence) and `code`. See docs/cli.md for the requests.
 */

import { type Command, InvalidArgumentError } from 'commander';
import type { Agent, AgentGroup, FailMode } from '../agent/index.ts';
import { exec } from '../mininet/run.ts';
import { UserError } from './lib/errors.ts';
import { commandLogger } from './lib/log.ts';
import { address, datapathHex, datapathId, integer, LOG_LEVELS, oneOf, protocols } from './lib/options.ts';
import { runDir } from './lib/run-dir.ts';
import { untilSignal } from './lib/service.ts';
import { supervised, tell } from './lib/supervised.ts';

interface Options {
  poolSize: number;
  frames: number;
  removeInterfaces?: boolean;
  logLevel: string;
  runDir?: string;
}

/** A line of standard input. */
interface Request {
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

export function configure(command: Command): void {
  command
    .option(
      '--pool-size <cells>',
      'cells kept warm for new flows, for the switches of a tenant',
      integer(0, 2000),
      32,
    )
    .option('--frames <count>', 'packets that each switch can hold', integer(64, 65536), 2048)
    .option(
      '--remove-interfaces',
      'when standard input ends, remove the interfaces of switches that were not stopped before',
    )
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS), 'info')
    .option('--run-dir <folder>', 'folder for the local sockets (default: $FLOWCELL_RUN_DIR)')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const signal = untilSignal();
  // Requests that come before the group is there wait for it.
  const early: string[] = [];
  let take = (line: string): void => void early.push(line);
  await supervised(
    (ended) =>
      serve(options, Promise.race([signal, ended]), (devices) => {
        take = (line) => void devices.request(line);
        for (const line of early) take(line);
      }),
    (line) => take(line),
  );
}

async function serve(
  options: Options,
  ended: Promise<unknown>,
  ready: (devices: Devices) => void,
): Promise<void> {
  const logger = commandLogger('devices', options.logLevel);
  const { AgentGroup } = await import('../agent/index.ts');
  const group = await AgentGroup.start({ poolSize: options.poolSize, logger });
  const devices = new Devices(group, (request, inCharge) => ({
    datapathId: parse(datapathId, request.datapath_id, 'datapath_id'),
    ports: request.ports ?? [],
    controllers: (request.controllers ?? []).map((text) => parse(address, text, 'controllers')),
    protocols: request.protocols === undefined ? undefined : parse(protocols, request.protocols, 'protocols'),
    failMode: parse(oneOf<FailMode>(['secure', 'standalone']), request.fail_mode ?? 'secure', 'fail_mode'),
    frames: options.frames,
    runDir: options.runDir ?? runDir(),
    inCharge,
    logger: logger.child({ datapath: request.datapath_id }),
  }));
  ready(devices);
  await ended;
  const left = options.removeInterfaces ? devices.interfaces() : [];
  await group.stop();
  if (left.length > 0) await removeInterfaces(left);
}

type AgentOptions = Parameters<AgentGroup['add']>[0];
type Mode = 'plain' | 'flow';

interface Device {
  readonly started: Promise<Agent>;
  /** As far as a controller has come since the start. */
  mode: Mode | undefined;
  waiting: { for: Mode; done: () => void }[];
}

class Devices {
  readonly #group: AgentGroup;
  readonly #optionsOf: (request: Request, inCharge: (mode: Mode) => void) => AgentOptions;
  readonly #devices = new Map<string, Device>();
  readonly #agents = new Map<string, Agent>();

  constructor(
    group: AgentGroup,
    optionsOf: (request: Request, inCharge: (mode: Mode) => void) => AgentOptions,
  ) {
    this.#group = group;
    this.#optionsOf = optionsOf;
  }

  /** Carries out a line of standard input and answers it. */
  async request(line: string): Promise<void> {
    let id: number | null = null;
    try {
      const request = JSON.parse(line) as Request;
      id = request.id;
      await this.#carryOut(request);
      tell({ id, ok: true });
    } catch (error) {
      const { message, code } = error as Error & { code?: string };
      tell({ id, error: message, code: code ?? 'FC_INTERNAL' });
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

/** Those that are gone already (the peers of removed ones, too) are no matter. */
async function removeInterfaces(names: readonly string[]): Promise<void> {
  const input = names.map((name) => `link delete ${name}\n`).join('');
  await exec(['ip', '-force', '-batch', '-'], { input, anyExit: true });
}
