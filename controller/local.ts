/**
 * What the CLI and the demo look at: HTTP on a unix socket that only its owner may open.
 *
 * GET /status, /datapaths, /flows, /counters: one JSON object each.
 * GET /events: JSON lines, one per event (events.ts), for as long as the client listens.
 */

import { chmod, mkdir, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { CellRecord } from './cells.ts';
import type { Controller } from './controller.ts';
import type { Datapath } from './datapath.ts';
import { errorText, FlowcellError } from './errors.ts';
import { toJson } from './events.ts';

/** Bytes an event stream's client may leave unread before lines are dropped (and counted). */
const EVENT_BACKLOG = 1 << 20;

export class LocalState {
  readonly path: string;
  readonly #controller: Controller;
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();

  private constructor(controller: Controller, path: string) {
    this.path = path;
    this.#controller = controller;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** @throws FlowcellError FC_LOCAL_STATE */
  static async open(controller: Controller, runDir: string): Promise<LocalState> {
    const path = join(runDir, `controller-${controller.port}.sock`);
    const state = new LocalState(controller, path);
    try {
      await mkdir(runDir, { recursive: true, mode: 0o700 });
      if (await answers(path)) {
        throw new Error('another controller answers there');
      }
      await unlink(path).catch((error) => {
        if (error.code !== 'ENOENT') throw error;
      });
      await new Promise<void>((resolve, reject) => {
        state.#server.once('error', reject);
        state.#server.listen(path, resolve);
      });
      await chmod(path, 0o600);
    } catch (error) {
      throw new FlowcellError(
        'FC_LOCAL_STATE',
        `cannot offer local state at ${path} (${errorText(error)}); name a folder of your own`,
        { cause: error },
      );
    }
    return state;
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.end();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET') {
      this.#send(response, 405, { error: 'only GET is offered here' });
      return;
    }
    switch (url) {
      case '/status':
        this.#send(response, 200, this.#status());
        return;
      case '/datapaths':
        this.#send(response, 200, { datapaths: this.#all(datapathState) });
        return;
      case '/flows':
        this.#send(response, 200, { flows: this.#all(flowStates).flat() });
        return;
      case '/counters':
        this.#send(response, 200, {
          ...this.#controller.counters,
          setup_us: this.#controller.setup.quantiles(),
          app_errors_by_app: Object.fromEntries(this.#controller.appErrors),
        });
        return;
      case '/events':
        this.#stream(response);
        return;
      default:
        this.#send(response, 404, { error: 'there are /status, /datapaths, /flows, /counters and /events' });
    }
  }

  #send(response: ServerResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${toJson(body)}\n`);
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    this.#streams.add(response);
    const unsubscribe = this.#controller.events.subscribe((event) => {
      if (response.writableLength > EVENT_BACKLOG) {
        this.#controller.counters.event_lines_dropped++;
        return;
      }
      response.write(`${toJson(event)}\n`);
    });
    response.on('close', () => {
      unsubscribe();
      this.#streams.delete(response);
    });
  }

  #status(): object {
    const controller = this.#controller;
    const datapaths = [...controller.datapaths.values()];
    return {
      pid: process.pid,
      port: controller.port,
      started_at: controller.startedAt,
      apps: controller.apps.map((app) => app.name),
      datapaths: datapaths.length,
      cells: datapaths.reduce((sum, datapath) => sum + datapath.cells.size, 0),
      pending_flows: controller.pendingFlows,
      setup_us: controller.setup.quantiles(),
    };
  }

  #all<T>(show: (datapath: Datapath) => T): T[] {
    return [...this.#controller.datapaths.values()].map(show);
  }
}

function datapathState(datapath: Datapath): object {
  return {
    id: datapath.name,
    remote: datapath.remote,
    openflow: datapath.openflow,
    connected_at: datapath.connectedAt,
    flow_mode: datapath.flowMode,
    cells: datapath.cells.size,
    ports: [...datapath.ports.values()],
  };
}

function flowStates(datapath: Datapath): object[] {
  return [...datapath.rules.values()].map((rule: CellRecord) => ({
    datapath: datapath.name,
    cookie: rule.cookie,
    cell: rule.cell,
    app: rule.app ?? null,
    stage: rule.stage,
    priority: rule.priority,
    match: rule.match,
    both_directions: rule.bothDirections,
    entries: rule.entries,
    adopted: rule.adopted,
    since: rule.since,
    setup_us: rule.setupUs,
  }));
}

/** Whether somebody listens at this socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
