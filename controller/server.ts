/** Listens for devices; bounds how many there are. */

import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { errorText, FlowcellError } from './errors.ts';
import { LogGate, type Logger } from './log.ts';
import type { Counters } from './metrics.ts';

export const DEFAULT_PORT = 6653;

export interface ServerOptions {
  /** TCP port; 0 lets the system choose. */
  port: number;
  /** Address to listen at; default all. */
  host: string | undefined;
  /** Other processes may listen at the same port; the kernel gives each its share of the connections. */
  reusePort: boolean;
  maxConnections: number;
  counters: Counters;
  log: Logger;
  /** Called for each device. */
  connected(socket: Socket): void;
}

export class Server {
  readonly #server: NetServer;
  readonly #sockets = new Set<Socket>();

  private constructor(options: ServerOptions) {
    const gate = new LogGate();
    this.#server = createServer({ noDelay: true }, (socket) => {
      if (this.#sockets.size >= options.maxConnections) {
        options.counters.connections_refused++;
        socket.destroy();
        const held = gate.pass('full');
        if (held >= 0) {
          options.log.warn(
            { code: 'FC_TOO_MANY_DEVICES', held, limit: options.maxConnections },
            'a device was turned away: the limit of connections is reached (option maxConnections)',
          );
        }
        return;
      }
      this.#sockets.add(socket);
      options.counters.connections_accepted++;
      socket.once('close', () => {
        this.#sockets.delete(socket);
        options.counters.connections_closed++;
      });
      options.connected(socket);
    });
  }

  /** @throws FlowcellError FC_LISTEN */
  static async listen(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', (error) =>
        reject(
          new FlowcellError(
            'FC_LISTEN',
            `cannot listen on port ${options.port} (${errorText(error)}); choose another with --port or end what uses it`,
            { cause: error },
          ),
        ),
      );
      const { port, host, reusePort } = options;
      server.#server.listen({ port, host, reusePort }, resolve);
    });
    server.#server.on('error', (error) =>
      options.log.error({ code: 'FC_ACCEPT' }, `accepting devices failed: ${errorText(error)}`),
    );
    return server;
  }

  /** The port it listens at. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Stops listening and waits until every connection is closed. The sessions close them. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
