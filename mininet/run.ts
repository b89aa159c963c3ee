/** Running other programs: one awaited call with its output, errors that say which command said what. */

import { type ChildProcess, spawn } from 'node:child_process';

export interface ExecOptions {
  /** Written to the program's standard input, which is then closed. */
  input?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The program is killed after this many milliseconds; 0 or absent: never. */
  timeoutMs?: number;
  /** Resolve whatever the exit code (default: reject with CommandError unless it is 0). */
  anyExit?: boolean;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  /** Exit code, or null when a signal ended the program. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A program that could not be started, failed, or did not end in time. */
export class CommandError extends Error {
  readonly code: string;
  readonly result: ExecResult | undefined;

  constructor(code: string, message: string, result?: ExecResult) {
    super(message);
    this.name = 'CommandError';
    this.code = code;
    this.result = result;
  }
}

/** Runs `argv` to its end. */
export async function exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  return await collect(
    spawn(argv[0], argv.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }),
    argv,
    options,
  );
}

function collect(child: ChildProcess, argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const what = argv.join(' ');
    let stdout = '';
    let stderr = '';
    let late = false;
    const timer = options.timeoutMs
      ? setTimeout(() => {
          late = true;
          child.kill('SIGKILL');
        }, options.timeoutMs)
      : undefined;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // A program may end without reading its input (EPIPE): its exit code tells the story then.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = error.code === 'ENOENT';
      reject(
        new CommandError(
          missing ? 'FC_COMMAND_NOT_FOUND' : 'FC_COMMAND_FAILED',
          missing
            ? `The command '${argv[0]}' is not installed.`
            : `'${what}' could not start: ${error.message}`,
        ),
      );
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const result = { stdout, stderr, code, signal };
      if (late) {
        reject(
          new CommandError('FC_COMMAND_TIMEOUT', `'${what}' did not end in ${options.timeoutMs} ms.`, result),
        );
      } else if (code !== 0 && options.anyExit !== true) {
        const end = code === null ? `was ended by ${signal}` : `failed with exit code ${code}`;
        const said = stderr.trim() || stdout.trim() || 'it said nothing';
        reject(new CommandError('FC_COMMAND_FAILED', `'${what}' ${end}: ${said}`, result));
      } else {
        resolve(result);
      }
    });
  });
}

/** Resolves when the child has ended; at once when it has already. */
export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    // Neither happens for a child that never started: 'error' is its end.
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Asks the child to end (SIGTERM), and ends it (SIGKILL) if it has not after `graceMs`. */
export async function stop(child: ChildProcess, graceMs = 3000): Promise<void> {
  const gone = ended(child);
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}
