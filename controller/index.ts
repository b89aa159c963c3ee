/**
 * The controller's public API: what apps and the CLI import. docs/apps.md shows how to write an app.
 *
 * OpenFlow types (Match, Action, Port, ...) come from `openflow/index.ts`.
 */

export { BundleFlag } from '../openflow/v14/constants.ts';
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
  type RoleStatus,
  type TableStatus,
} from './app.ts';
export type { CellRecord, CellStage, CellState, CellStatus } from './cells.ts';
export { Controller, type ControllerOptions } from './controller.ts';
export type { Datapath } from './datapath.ts';
export type { Role } from './datapath-configuration.ts';
export type {
  AggregateStats,
  AsyncConfig,
  GroupDesc,
  GroupFeatures,
  GroupStats,
  MeterConfig,
  MeterFeatures,
  MeterStats,
  PacketQueue,
  QueueStats,
  SwitchConfig,
  SwitchDesc,
  TableFeatures,
} from './datapath-statistics.ts';
export type { DispatchSettings } from './device.ts';
export { DeviceError, FlowcellError } from './errors.ts';
export type { ControllerEvent, EventHub, EventListener, EventType } from './events.ts';
export { DEFAULT_CONTROLLER_LIMITS, type Limits } from './limits.ts';
export type { Logger } from './log.ts';
export { FIVE_TUPLE_FIELDS, matchKey } from './match.ts';
export type { Counters, Durations, Quantiles } from './metrics.ts';
export type {
  FlowDeletion,
  FlowFilter,
  GroupEntry,
  MeterEntry,
  Modifications,
  PacketOut,
  PortChange,
} from './modifications.ts';
export type { ProgramSource } from './programs.ts';
export { DEFAULT_PORT } from './server.ts';
export type { Time } from './time.ts';
export type { Transport } from './transport.ts';
