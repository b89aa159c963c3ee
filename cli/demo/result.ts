/** What the demo found, for people and for scripts. */

import { bytes, micros } from '../lib/format.ts';

/** The last line with --json; docs/cli.md says what the fields mean. */
export interface DemoResult {
  ok: boolean;
  flows: number;
  cells: number;
  setup_us: { p50: number; p99: number };
  bytes: number;
  bytes_ok: boolean;
  ping_ok: boolean | null;
  new_flows: { count: number; answered: number };
  isolation: { killed_cell: number; new_cell: number; other_flows_lost: number; recovered: boolean };
  error?: string;
}

export function emptyResult(): DemoResult {
  return {
    ok: false,
    flows: 0,
    cells: 0,
    setup_us: { p50: 0, p99: 0 },
    bytes: 0,
    bytes_ok: false,
    ping_ok: null,
    new_flows: { count: 0, answered: 0 },
    isolation: { killed_cell: 0, new_cell: 0, other_flows_lost: 0, recovered: false },
  };
}

export interface Check {
  good: boolean;
  text: string;
}

/** What must hold, in sentences. */
export function check(result: DemoResult): Check[] {
  const { flows, cells, setup_us, ping_ok, new_flows, isolation } = result;
  const pings = ping_ok === null ? 'ping: not on this machine' : 'not every ping was answered';
  return [
    { good: ping_ok !== false, text: ping_ok === true ? 'every ping answered' : pings },
    {
      good: new_flows.count > 0 && new_flows.answered === new_flows.count,
      text: `${new_flows.answered} of ${new_flows.count} new flows answered`,
    },
    {
      good: flows > 0,
      text: `${flows} flows, ${cells} cells; set-up p50 ${micros(setup_us.p50)}, p99 ${micros(setup_us.p99)}`,
    },
    { good: result.bytes_ok, text: `${bytes(result.bytes)} arrived intact over TCP` },
    {
      good: isolation.killed_cell !== 0 && isolation.other_flows_lost === 0,
      text: `${isolation.other_flows_lost} packets of another flow lost when cell ${isolation.killed_cell} was killed`,
    },
    {
      good: isolation.recovered,
      text: isolation.recovered
        ? `its flow went on in cell ${isolation.new_cell}`
        : 'its flow did not recover',
    },
  ];
}
