/** The agent's state in the shape the local server shows. */
import { encode, type FlowStats, MultipartFlag } from '../../openflow/index.ts';
import type { CellRecord, Cells } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Rule, RuleTable } from '../dispatcher/rules.ts';
import type { Port, PortQueue } from '../ports/port.ts';

/** Cells asked at a time, and how long one may take to list its entries, ms. */
const ASKED_AT_A_TIME = 32;
const ANSWER_MS = 1000;

const seconds = (from: number, clock: Clock): number => Math.round(clock.now - from) / 1000;

export const viewPort = (port: Port) => {
  port.refreshCounters();
  const { number, name, hardwareAddress, medium, link, config, counters } = port;
  const queues = port.queues().map(viewQueue);
  return {
    number,
    name,
    hardware_address: hardwareAddress,
    speed_mbps: medium.speed,
    ...link,
    config,
    ...counters,
    queues,
  };
};

const viewQueue = ({ id, minRate, maxRate, txPackets, txBytes, drops }: PortQueue) => ({
  id,
  min_bps: minRate,
  max_bps: maxRate,
  tx_packets: Number(txPackets),
  tx_bytes: Number(txBytes),
  drops,
});

export const viewCell = (cell: CellRecord, clock: Clock) => ({
  id: cell.id,
  state: cell.phase,
  tenant: cell.tenant,
  program: cell.program.name,
  program_hash: cell.program.hash,
  memory_mib: cell.limits.memoryMiB,
  run_ms: cell.limits.runMs,
  wall: cell.limits.wall ?? 'isolate',
  match: cell.rule?.match ?? null,
  age_s: seconds(cell.openedAt, clock),
  setup_us: cell.setupUs,
  packets: cell.packets,
  bytes: cell.bytes,
  kernel_packets: cell.kernelPackets,
  waiting: cell.queue.count,
  in_flight: cell.handle?.inFlight ?? 0,
  cpu_us: cell.handle?.usage.cpuUs ?? 0,
  heap_bytes: cell.handle?.usage.heapBytes ?? 0,
  logged_entries: cell.log.size,
});

export const viewRule = (rule: Rule, clock: Clock) => ({
  match: rule.match,
  priority: rule.priority,
  state: rule.state,
  cell: rule.cell?.id ?? null,
  both_directions: rule.reverse !== undefined,
  tenant: rule.tenant,
  cookie: rule.cookie,
  flags: rule.flags,
  on_failure: rule.onFailure,
  idle_timeout: rule.idleTimeout,
  hard_timeout: rule.hardTimeout,
  age_s: seconds(rule.createdAt, clock),
  idle_s: seconds(rule.lastUsed, clock),
  packets: rule.packets,
  bytes: rule.bytes,
});

export const viewRules = (rules: RuleTable, clock: Clock) =>
  [...rules.all()].map((rule) => viewRule(rule, clock));

/** The entries of one cell, or undefined when it does not say in time. */
const entriesOf = (cell: CellRecord): Promise<FlowStats[] | undefined> =>
  new Promise((resolve) => {
    const flows: FlowStats[] = [];
    const timer = setTimeout(() => resolve(undefined), ANSWER_MS);
    const finish = (result: FlowStats[] | undefined) => {
      clearTimeout(timer);
      resolve(result);
    };
    cell.control.request(encode({ type: 'multipart_request', body: { type: 'flow' } }), (reply) => {
      if (reply?.type !== 'multipart_reply' || reply.body.type !== 'flow') finish(undefined);
      else {
        flows.push(...reply.body.flows);
        if ((reply.flags & MultipartFlag.MORE) === 0) finish(flows);
      }
    });
  });

/** Flow entries of every cell that runs; `flows` is null where a cell did not answer. */
export const viewFlows = async (cells: Cells) => {
  const live = [...cells.all()].filter((cell) => cell.handle !== undefined);
  const result: { cell: number; program: string; flows: FlowStats[] | null }[] = [];
  for (let at = 0; at < live.length; at += ASKED_AT_A_TIME) {
    const some = live.slice(at, at + ASKED_AT_A_TIME);
    const answers = await Promise.all(some.map(entriesOf));
    for (const [i, cell] of some.entries()) {
      result.push({ cell: cell.id, program: cell.program.name, flows: answers[i] ?? null });
    }
  }
  return result;
};
