/** HTTP over the local sockets of agents and controllers. */

import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';

/** The other side is not there, or answered with something other than success. */
export class LocalError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'LocalError';
    this.code = code;
  }
}

/** An answer that takes longer than this is no answer. */
const TIMEOUT_MS = 5000;

function open(
  socketPath: string,
  method: string,
  path: string,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, agent: false, ...(signal ? { signal } : {}) });
    outgoing.setTimeout(TIMEOUT_MS, () => {
      outgoing.destroy(
        new LocalError('FC_LOCAL_TIMEOUT', `${socketPath} does not answer ${method} ${path}.`),
      );
    });
    outgoing.once('response', (response) => {
      outgoing.setTimeout(0);
      resolve(response);
    });
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      const gone = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      reject(gone ? new LocalError('FC_LOCAL_GONE', `Nobody listens on ${socketPath}.`) : error);
    });
    outgoing.end();
  });
}

async function text(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return body;
}

async function call(socketPath: string, method: string, path: string): Promise<unknown> {
  const response = await open(socketPath, method, path);
  const body = await text(response);
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299) {
    throw new LocalError(
      'FC_LOCAL_REFUSED',
      `${method} ${path} was answered with ${status}: ${body.trim() || 'no reason given'}`,
    );
  }
  return body === '' ? undefined : JSON.parse(body);
}

/** Whether somebody listens there and answers. */
export async function answers(socketPath: string): Promise<boolean> {
  try {
    await get(socketPath, '/status');
    return true;
  } catch (error) {
    if (error instanceof LocalError && error.code === 'FC_LOCAL_GONE') return false;
    throw error;
  }
}

/** GET, as JSON. Rejects with LocalError: FC_LOCAL_GONE, FC_LOCAL_TIMEOUT, FC_LOCAL_REFUSED. */
export async function get<T>(socketPath: string, path: string): Promise<T> {
  return (await call(socketPath, 'GET', path)) as T;
}

export async function post<T>(socketPath: string, path: string): Promise<T> {
  return (await call(socketPath, 'POST', path)) as T;
}

/**
 * GET of a stream of JSON lines. Resolves once the other side sends the stream (whatever happens from then on
 * is in it); `onLine` gets each line's value until the signal aborts or the other side ends.
 */
export async function lines(
  socketPath: string,
  path: string,
  signal: AbortSignal,
  onLine: (value: unknown) => void,
): Promise<void> {
  const response = await open(socketPath, 'GET', path, signal);
  if (response.statusCode !== 200) {
    throw new LocalError('FC_LOCAL_REFUSED', `GET ${path} was answered with ${response.statusCode}.`);
  }
  const reader = createInterface({ input: response });
  // The end of the stream, even a torn one, is the other side's end: its process tells of that.
  reader.on('error', () => undefined);
  reader.on('line', (line) => {
    if (line !== '') onLine(JSON.parse(line));
  });
}
