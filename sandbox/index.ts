/** Cells as the agent uses them: hosts, programs, and the types between them. */
export { SandboxError, type SandboxErrorCode } from './client/errors.ts';
export { SandboxHost } from './client/host.ts';
export type { SandboxHostOptions, SandboxHostStats } from './client/host-types.ts';
export { builtInPrograms } from './client/programs.ts';
export { TenantHosts, type TenantHostsOptions } from './client/tenant-hosts.ts';
export * from './client/types.ts';
export { PollLoop, type PollLoopOptions } from './sys/loop.ts';
