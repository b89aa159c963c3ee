/** The agent room: a device's ports, dispatch table and cells, driven by a controller. */
export { Agent, type AgentOptions } from './agent.ts';
export type { FailMode } from './channel/switch.ts';
export { AgentGroup, type AgentGroupOptions } from './group.ts';
export { LocalError, socketPathOf } from './local/server.ts';
export { numberPorts } from './ports/ports.ts';
export { PortError } from './ports/socket.ts';
