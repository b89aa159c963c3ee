/** The Flowcell messages from the controller: DISPATCH_CONFIG, DISPATCH_RULE, PROGRAM (docs/protocol.md). */
import {
  BadRequestCode,
  DispatchCommand,
  DispatchConfigFlag,
  DispatchMiss,
  ErrorType,
  type MessageInit,
  type MessageOf,
  OnFailure,
  OpenFlowError,
  Wall,
} from '../../openflow/index.ts';
import type { Admission } from '../dispatcher/admission.ts';
import type { Dispatcher } from '../dispatcher/dispatcher.ts';
import type { Flows } from '../dispatcher/flows.ts';
import type { Holding } from '../dispatcher/hold.ts';
import type { Setups } from '../dispatcher/setups.ts';
import type { Programs } from '../programs.ts';
import {
  type DispatchConfig,
  defaultDispatchConfig,
  effectiveConfig,
  holdLimits,
} from './dispatch-settings.ts';

/** The controller that a message comes from. */
interface Sender {
  send(message: MessageInit): void;
}

export interface ExtensionOptions {
  dispatcher: Dispatcher;
  flows: Flows;
  programs: Programs;
  holding: Holding;
  admission: Admission;
  setups: Setups;
  /** Frames the device has in all. */
  frames: number;
}

const badValue = (text: string): OpenFlowError =>
  // The specification has no code for a wrong value in a request; this comes nearest: a kind that is not supported.
  new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, text);

export class Extension {
  config: DispatchConfig;
  readonly #options: ExtensionOptions;

  constructor(options: ExtensionOptions) {
    this.#options = options;
    this.config = defaultDispatchConfig(options.frames);
  }

  /** Packets without a rule wait for the controller's answer. */
  get asksController(): boolean {
    return this.config.miss === DispatchMiss.QUERY;
  }

  /** An ordinary controller is there: the device is an ordinary switch. */
  plainMode(): void {
    const { dispatcher } = this.#options;
    if (this.config.miss === DispatchMiss.DEFAULT_CELL) return;
    this.config = { ...this.config, miss: DispatchMiss.DEFAULT_CELL };
    dispatcher.miss = this.config.miss;
    dispatcher.redispatchAll();
  }

  /** The device has one configuration: the last controller to send one wins. */
  configure(sender: Sender, message: MessageOf<'dispatch_config'>): void {
    const { dispatcher, flows, holding, admission, setups, frames } = this.#options;
    if (message.miss > DispatchMiss.DROP) throw badValue(`dispatch_config: no way to miss ${message.miss}`);
    const before = this.config.miss;
    this.config = effectiveConfig(message, frames);
    dispatcher.miss = this.config.miss;
    dispatcher.pending.configure(this.config.fields);
    holding.limits = holdLimits(this.config);
    setups.limitMs = this.config.query_timeout_ms;
    admission.configure({ perPort: this.config.new_flows_per_sec, perTenant: admission.limits.perTenant });
    if (message.flags & DispatchConfigFlag.SYNC) flows.reportAll((status) => sender.send(status));
    sender.send({ ...this.config, type: 'dispatch_config', xid: message.xid, flags: message.flags });
    if (this.asksController) dispatcher.askAgain();
    else if (before === DispatchMiss.QUERY) dispatcher.redispatchAll();
  }

  rule(message: MessageOf<'dispatch_rule'>): void {
    const { flows } = this.#options;
    if (message.wall > Wall.CONTEXT) throw badValue(`dispatch_rule: no wall ${message.wall}`);
    if (message.on_failure > OnFailure.DROP) {
      throw badValue(`dispatch_rule: no on_failure ${message.on_failure}`);
    }
    switch (message.command) {
      case DispatchCommand.ADD:
        flows.add(message);
        break;
      case DispatchCommand.MODIFY:
        flows.modify(message);
        break;
      case DispatchCommand.DELETE:
        flows.delete(message);
        break;
      case DispatchCommand.DELETE_STRICT:
        flows.deleteStrict(message);
        break;
      case DispatchCommand.REFUSE:
        flows.refuse(message.query_id);
        break;
      default:
        throw badValue(`dispatch_rule: no command ${message.command}`);
    }
  }

  program(sender: Sender, message: MessageOf<'program'>): void {
    const state = this.#options.programs.piece(message);
    if (state === undefined) return;
    sender.send({ type: 'program_reply', xid: message.xid, hash: message.hash, state });
  }
}
