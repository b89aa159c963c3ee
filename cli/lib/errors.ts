/** From whatever was thrown to one sentence for the user and an exit code. */

/** A mistake of the user's: the message says what to do instead. Exit code 2. */
export class UserError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'UserError';
    this.code = code;
  }
}

/** Codes of other rooms' errors that come from what the user asked for, not from something that broke. */
const USER_CODES: ReadonlySet<string> = new Set([
  'FC_PORT_NOT_FOUND',
  'FC_PORT_INVALID',
  'FC_OPTION_INVALID',
  'FC_APP_NOT_FOUND',
  'FC_APP_INVALID',
]);

/** What the system's own error codes mean for the user. */
const SYSTEM: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is already in use; end the program that has it or choose another port',
  EADDRNOTAVAIL: 'this machine has no such address; choose one that `ip addr` shows',
  EACCES: 'not permitted; run it as root, or choose a port above 1023',
  EPERM: 'not permitted; run it as root (or with CAP_NET_RAW and CAP_NET_ADMIN)',
};

export interface Explanation {
  sentence: string;
  exitCode: 1 | 2;
}

export function explain(error: unknown): Explanation {
  if (!(error instanceof Error)) return { sentence: String(error), exitCode: 1 };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error instanceof UserError || USER_CODES.has(code)) return { sentence: error.message, exitCode: 2 };
  if (SYSTEM[code] !== undefined) return { sentence: `${error.message}: ${SYSTEM[code]}`, exitCode: 1 };
  // Our own errors have sentences; anything else is a defect, and then its stack helps.
  if (code.startsWith('FC_')) return { sentence: error.message, exitCode: 1 };
  return { sentence: error.stack ?? error.message, exitCode: 1 };
}
