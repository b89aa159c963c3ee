/** The connections to all controllers of the device, each with its session while it is up. */
import type { Logger } from 'pino';
import type { DialectContext } from '../../openflow/translate/index.ts';
import type { Time } from '../clock.ts';
import { Connection } from './connection.ts';
import type { Connect, ConnectionLimits } from './connection-options.ts';
import type { Session } from './session.ts';
import type { Switch } from './switch.ts';

export interface ControllersOptions {
  addresses: readonly { host: string; port: number }[];
  /** Wire versions to offer. Default: all that are spoken. */
  protocols?: readonly number[];
  channel: Switch;
  context: DialectContext;
  limits?: Partial<ConnectionLimits>;
  time?: Time;
  connect?: Connect;
  logger: Logger;
}

interface Controller {
  readonly connection: Connection;
  session: Session | undefined;
}

const ROLES = ['nochange', 'equal', 'master', 'slave'];

export class Controllers {
  readonly #list: Controller[];

  constructor(options: ControllersOptions) {
    this.#list = options.addresses.map((address) => makeController(address, options));
  }

  start(): void {
    for (const { connection } of this.#list) connection.start();
  }

  stop(): void {
    for (const { connection } of this.#list) connection.stop();
  }

  /** Writes what is queued: once per turn of the loop. */
  flush(): void {
    const list = this.#list;
    for (let i = 0; i < list.length; i++) list[i].connection.flush();
  }

  /** For the local socket. */
  view() {
    return this.#list.map(({ connection, session }) => ({
      address: connection.peer,
      state: connection.state,
      /** Wire version. */
      version: connection.version ?? null,
      role: session === undefined ? null : ROLES[session.role.current],
      flowcell: session?.extended ?? false,
    }));
  }

  /** Sums over the connections. */
  counters(): Connection['counters'] {
    const sum = { connects: 0, received: 0, sent: 0, malformed: 0, dropped: 0, yielded: 0, untranslated: 0 };
    const names = Object.keys(sum) as (keyof typeof sum)[];
    for (const { connection } of this.#list) for (const name of names) sum[name] += connection.counters[name];
    return sum;
  }
}

const makeController = (
  { host, port }: { host: string; port: number },
  { channel, protocols, context, limits, time, connect, logger }: ControllersOptions,
): Controller => {
  const connection = new Connection({
    host,
    port,
    protocols,
    context,
    limits,
    time,
    connect,
    logger,
    events: {
      established: () => {
        controller.session = channel.established(connection);
      },
      message: (message, bytes, original) => {
        const { session } = controller;
        if (session !== undefined) channel.message(session, { message, bytes, original });
      },
      closed: () => {
        const { session } = controller;
        controller.session = undefined;
        if (session !== undefined) channel.closed(session);
      },
    },
  });
  const controller: Controller = { connection, session: undefined };
  return controller;
};
