/** Everything that happens in a virtual network, in its order: what a failing test prints. */
import { describeFrame, describeInstructions, describeMatch, describeMessage, portName } from './describe.ts';
import type { Step } from './steps.ts';

export type TraceEvent = {
  /** Milliseconds of virtual time. */
  readonly time: number;
  /** Name of the switch or host. */
  readonly node: string;
  /** Which packet it is about: copies and changed forms of a packet have its number. 0: no one in particular. */
  readonly packet: number;
} & (
  | { readonly type: 'received'; readonly port: number; readonly frame: Uint8Array }
  /** By a switch's port, or by a host (port 0). */
  | {
      readonly type: 'sent';
      readonly port: number;
      readonly frame: Uint8Array;
      readonly lost: boolean;
      readonly queue?: number;
    }
  /** In the pipeline of a cell. */
  | { readonly type: 'step'; readonly cell: number; readonly step: Step }
  /** By the device, outside of any pipeline: `refused`, `timeout` ... */
  | { readonly type: 'dropped'; readonly why: string }
  /** On the connection between the node and a controller. */
  | { readonly type: 'message'; readonly toController: boolean; readonly bytes: Uint8Array }
  | { readonly type: 'note'; readonly text: string }
);

/** What is kept; what is older is forgotten. */
const MAX_EVENTS = 20_000;

export class Trace {
  #events: TraceEvent[] = [];
  /** Events that were forgotten. */
  forgotten = 0;

  add(event: TraceEvent): void {
    this.#events.push(event);
    if (this.#events.length < 2 * MAX_EVENTS) return;
    this.#events = this.#events.slice(MAX_EVENTS);
    this.forgotten += MAX_EVENTS;
  }

  /** A place to look from later. */
  mark(): number {
    return this.forgotten + this.#events.length;
  }

  /** What has happened since a mark (default: since the beginning, as far as it is kept). */
  since(mark = 0): readonly TraceEvent[] {
    return this.#events.slice(Math.max(0, mark - this.forgotten));
  }

  /** The same in words, a line each. */
  text(mark = 0): string {
    return this.since(mark).map(line).join('\n');
  }
}

const stepText = (step: Step): string => {
  switch (step.type) {
    case 'begin':
      return step.packetOut
        ? `packet_out (in_port ${portName(step.in_port)})`
        : `pipeline, in_port ${portName(step.in_port)}`;
    case 'table': {
      if (step.entry === undefined) return `table ${step.table_id}: no entry matches, dropped`;
      const { priority, match, instructions } = step.entry;
      return `table ${step.table_id}: priority ${priority} {${describeMatch(match)}} ${describeInstructions(instructions)}`;
    }
    case 'meter':
      return `meter ${step.meter_id}: ${step.dropped ? 'dropped' : 'passed'}`;
    case 'action':
      return `  ${step.action}`;
    case 'bucket':
      return `  group ${step.group_id}: bucket ${step.bucket}`;
  }
};

const outOf = ({ port, queue }: { port: number; queue?: number }): string => {
  if (port === 0) return '';
  return `port ${portName(port)}${queue === undefined ? '' : `, queue ${queue}`}  `;
};

const what = (event: TraceEvent): string => {
  switch (event.type) {
    case 'received':
      return `<- port ${portName(event.port)}  ${describeFrame(event.frame)}`;
    case 'sent':
      return `-> ${outOf(event)}${describeFrame(event.frame)}${event.lost ? ' (lost: the link is down)' : ''}`;
    case 'step':
      return `   ${event.cell === 0 ? '' : `cell ${event.cell} `}${stepText(event.step)}`;
    case 'dropped':
      return `   dropped: ${event.why}`;
    case 'message':
      return `${event.toController ? '=> controller' : '<= controller'}  ${describeMessage(event.bytes)}`;
    case 'note':
      return `   ${event.text}`;
  }
};

const line = (event: TraceEvent): string =>
  `${String(event.time).padStart(7)} ms  ${event.node.padEnd(6)} ${what(event)}`;
