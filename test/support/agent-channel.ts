/** The agent's control channel without sockets: controllers that keep what they are sent, around pretended cells. */
import { encodeControl } from '../../agent/channel/bundles.ts';
import { Extension } from '../../agent/channel/extension.ts';
import { errorReply, ONF_EXPERIMENTER, OnfType } from '../../agent/channel/onf.ts';
import { Requests } from '../../agent/channel/requests.ts';
import type { Link, Session } from '../../agent/channel/session.ts';
import { Sessions } from '../../agent/channel/sessions.ts';
import { Switch } from '../../agent/channel/switch.ts';
import { TableSettings } from '../../agent/channel/table-settings.ts';
import { Programs } from '../../agent/programs.ts';
import {
  decode,
  encode,
  errorName,
  type Message,
  type MessageInit,
  OpenFlowError,
} from '../../openflow/index.ts';
import { BundleCtrlType } from '../../openflow/v14/constants.ts';
import { type FakeCell, image, silent, World } from './agent-world.ts';

export class FakeController implements Link {
  readonly peer = 'test';
  readonly version: number;
  readonly received: Message[] = [];
  reading = true;
  /** It leaves what it is sent unread; what was not sent for that is counted. */
  slow = false;
  dropped = 0;
  readonly session: Session;
  readonly #channel: Channel;

  constructor(channel: Channel, version: number) {
    this.#channel = channel;
    this.version = version;
    this.session = channel.switch.established(this);
  }

  send(message: MessageInit): void {
    this.received.push(decode(encode(message)));
  }

  offer(message: MessageInit): boolean {
    if (this.slow) {
      this.dropped++;
      return false;
    }
    this.send(message);
    return true;
  }

  refuse(error: OpenFlowError, request: Uint8Array): void {
    this.send(errorReply(error, request));
  }

  read(on: boolean): void {
    this.reading = on;
  }

  /** As if it came over the wire; `original` where that was not OpenFlow 1.3. */
  say(message: MessageInit, original?: Uint8Array): void {
    const bytes = encode(message);
    try {
      this.#channel.switch.message(this.session, {
        message: decode(bytes),
        bytes,
        original: original ?? bytes,
      });
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.refuse(error, original ?? bytes);
    }
  }

  /** What came since this was asked last: types, and names of errors. */
  heard(): string[] {
    return this.received
      .splice(0)
      .map((message) =>
        message.type === 'error' ? errorName(message.error_type, message.code) : message.type,
      );
  }

  bundle(type: number, id = 1, flags = 3): void {
    const data = encodeControl({ id, type, flags });
    this.say({
      type: 'experimenter',
      experimenter: ONF_EXPERIMENTER,
      exp_type: OnfType.BUNDLE_CONTROL,
      data,
    });
  }

  /** Adds messages to a bundle, each with the xid of the message around it. */
  add(messages: readonly MessageInit[], id = 1, flags = 3): void {
    for (const [i, message] of messages.entries()) {
      const xid = 1000 + i;
      const inside = encode({ ...message, xid });
      const data = new Uint8Array(8 + inside.length);
      data.set([id >>> 24, id >>> 16, id >>> 8, id, 0, 0, flags >>> 8, flags]);
      data.set(inside, 8);
      const exp_type = OnfType.BUNDLE_ADD_MESSAGE;
      this.say({ type: 'experimenter', xid, experimenter: ONF_EXPERIMENTER, exp_type, data });
    }
  }

  commit(...messages: MessageInit[]): void {
    this.bundle(BundleCtrlType.OPEN_REQUEST);
    this.add(messages);
    this.bundle(BundleCtrlType.COMMIT_REQUEST);
  }

  leave(): void {
    this.#channel.switch.closed(this.session);
  }
}

export class Channel {
  readonly world = new World();
  readonly sessions = new Sessions();
  readonly switch: Switch;
  readonly extension: Extension;

  constructor() {
    const { world, sessions } = this;
    const { clock, cells, dispatcher, flows, pool } = world;
    world.channel = {
      ask: (flow, frame, key) => sessions.ask(flow, frame, key, this.extension.config),
      send: (message) => sessions.cellStatus(message),
      reply: (cell, reply, asker) => this.switch.reply(cell, reply, asker),
    };
    const programs = new Programs([image('openflow')]);
    const { holding, admission, setups } = world;
    const limits = { holding, admission, setups, frames: 256 };
    this.extension = new Extension({ dispatcher, flows, programs, ...limits });
    const list = world.ports;
    this.switch = new Switch({
      sessions,
      requests: new Requests({
        datapathId: 7n,
        description: 'test',
        version: '0',
        tables: 254,
        ports: { list, get: (number) => list.find((port) => port.number === number) },
        clock,
        dispatcher,
      }),
      extension: this.extension,
      tableSettings: new TableSettings(cells, sessions),
      cells,
      flows,
      dispatcher,
      pool,
      clock,
      liveness: world.liveness,
      failMode: 'secure',
      standaloneCell: () => undefined,
      logger: silent,
    });
    dispatcher.defaultCell = flows.openOwn(0, image('openflow'));
  }

  connect(version = 4): FakeController {
    return new FakeController(this, version);
  }

  get cell(): FakeCell {
    return this.world.host.cells[0];
  }
}
