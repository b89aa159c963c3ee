/** What the agent knows, as JSON on a Unix socket: for `flowcell cells`, `rules`, `flows` and for the demo. */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import type { Logger } from 'pino';

/** Answers a GET; bigints become strings. Undefined: there is no such thing. */
export type View = () => unknown | Promise<unknown>;

export interface LocalServerOptions {
  socketPath: string;
  /** By path, e.g. '/status'. */
  views: Record<string, View>;
  /** Ends a cell as if it had crashed; false when there is no such cell. */
  killCell: (id: number) => boolean;
  logger: Logger;
}

export const socketPathOf = (datapathId: bigint, directory: string): string =>
  path.join(directory, `agent-${datapathId.toString(16).padStart(16, '0')}.sock`);

export class LocalError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'LocalError';
    this.code = code;
  }
}

const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, entry) => (typeof entry === 'bigint' ? entry.toString() : entry));

export class LocalServer {
  readonly #options: LocalServerOptions;
  readonly #server: http.Server;

  private constructor(options: LocalServerOptions) {
    this.#options = options;
    this.#server = http.createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        options.logger.error({ err: error, url: request.url }, 'local request failed');
        if (!response.headersSent) this.#send(response, 500, { error: 'internal error; see the log' });
      });
    });
    this.#server.headersTimeout = 5000;
    this.#server.requestTimeout = 5000;
    this.#server.maxConnections = 16;
  }

  /** Throws LocalError FC_ALREADY_RUNNING when another agent answers on the socket. */
  static async start(options: LocalServerOptions): Promise<LocalServer> {
    const { socketPath } = options;
    fs.mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o755 });
    await removeStale(socketPath);
    const local = new LocalServer(options);
    await new Promise<void>((resolve, reject) => {
      local.#server.once('error', reject);
      local.#server.listen(socketPath, () => resolve());
    });
    fs.chmodSync(socketPath, 0o600);
    local.#server.on('error', (error) => options.logger.error({ err: error }, 'local server'));
    return local;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = (request.url ?? '/').split('?')[0];
    const view = this.#options.views[url];
    const kill = /^\/cells\/(\d{1,10})\/kill$/.exec(url);
    if (request.method === 'GET' && view !== undefined) {
      this.#send(response, 200, await view());
    } else if (request.method === 'POST' && kill !== null) {
      const found = this.#options.killCell(Number(kill[1]));
      if (found) this.#send(response, 200, { killed: Number(kill[1]) });
      else this.#send(response, 404, { error: `there is no cell ${kill[1]}` });
    } else {
      this.#send(response, 404, { error: `there is no ${request.method} ${url}` });
    }
  }

  #send(response: http.ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(`${toJson(body)}\n`);
  }
}

/** A socket file that nobody listens on is left over from an agent that was killed. */
const removeStale = async (socketPath: string): Promise<void> => {
  if (!fs.existsSync(socketPath)) return;
  const answers = await new Promise<boolean>((resolve) => {
    const request = http.get({ socketPath, path: '/status', timeout: 1000 }, (response) => {
      response.resume();
      resolve(true);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNRESET'));
  });
  if (answers) {
    throw new LocalError(
      'FC_ALREADY_RUNNING',
      `An agent with this datapath id is running (${socketPath}); stop it or choose another id.`,
    );
  }
  fs.rmSync(socketPath, { force: true });
};
