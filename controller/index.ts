/**
 * The controller's public API: what apps and the CLI import. docs/apps.md shows how to write an app.
 *
 * OpenFlow types (Match, Action, Port, ...) come from `openflow/index.ts`.
 */

export {
  type App,
  type CellSpec,
  defineApp,
  type FlowAnswer,
  type FlowDecision,
  type FlowEntry,
  type FlowQuery,
  type FlowRefusal,
  type FlowRemoved,
  type PacketIn,
  type PortDesc,
  type PortStatus,
} from './app.ts';
export type { CellRecord, CellStage, CellState, CellStatus } from './cells.ts';
export { Controller, type ControllerOptions } from './controller.ts';
export type { Datapath, FlowFilter, PacketOut } from './datapath.ts';
export type { DispatchSettings } from './device.ts';
export { DeviceError, FlowcellError } from './errors.ts';
export type { ControllerEvent, EventHub, EventListener, EventType } from './events.ts';
export { DEFAULT_CONTROLLER_LIMITS, type Limits } from './limits.ts';
export type { Logger } from './log.ts';
export { FIVE_TUPLE_FIELDS, matchKey } from './match.ts';
export type { Counters, Durations, Quantiles } from './metrics.ts';
export type { ProgramSource } from './programs.ts';
export { DEFAULT_PORT } from './server.ts';
