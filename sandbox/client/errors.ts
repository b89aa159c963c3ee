/** What can go wrong when a cell is opened or a host started. */
export type SandboxErrorCode =
  /** The program does not load: it throws, loops, or was not bundled with the guest runtime. */
  | 'FC_BAD_PROGRAM'
  /** Limits out of range. */
  | 'FC_BAD_LIMITS'
  /** All cells of the host are in use. */
  | 'FC_NO_RESOURCES'
  /** The sandbox host does not start, or was closed. */
  | 'FC_HOST_UNAVAILABLE';

export class SandboxError extends Error {
  readonly code: SandboxErrorCode;

  constructor(code: SandboxErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SandboxError';
    this.code = code;
  }
}
