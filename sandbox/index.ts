/** Cells as the agent uses them: hosts, programs, and the types between them. */
export { SandboxError, type SandboxErrorCode } from './client/errors.ts';
export {
  type OpenCallback,
  SandboxHost,
  type SandboxHostOptions,
  type SandboxHostStats,
} from './client/host.ts';
export { builtInPrograms } from './client/programs.ts';
export * from './client/types.ts';
export { PollLoop, type PollLoopOptions } from './sys/loop.ts';
