/**
 * Which asynchronous messages a controller gets: OpenFlow 1.4 has more kinds and reasons than 1.3, in properties that
 * may be set one by one. What 1.3 cannot hold is kept here, for one connection. Spec: OpenFlow 1.4, 7.3.10.
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ControllerRole } from '../index.ts';
import { PacketInReason } from '../v14/constants.ts';
import { AsyncConfigFailedCode, BadPropertyCode, ErrorType } from '../v14/errors.ts';
import type * as v15 from '../v15/index.ts';
import { fail } from './shared.ts';

/** Kinds, the reasons that there are (as bits), and those that a master and a slave get if nothing else was said. */
const KINDS = {
  packet_in: [0x3f, 0x3f, 0],
  port_status: [7, 7, 7],
  flow_removed: [0x3f, 0x3f, 0],
  role_status: [7, 7, 7],
  table_status: [0x18, 0x18, 0],
  requestforward: [3, 0, 0],
  flow_stats: [3, 0, 0],
  cont_status: [0x7f, 0, 0],
} as const satisfies Record<string, readonly [known: number, master: number, slave: number]>;

export type AsyncKind = keyof typeof KINDS;
type Masks = [master: number, slave: number];
type Settings = Record<AsyncKind, Masks>;
export type AsyncProperty = v15.MessageOf<'set_async'>['properties'][number];

/** Kinds that the device never sends: to ask for one is refused. */
const NEVER: readonly string[] = ['requestforward', 'flow_stats', 'cont_status'];
const KINDS_OF_13 = ['packet_in', 'port_status', 'flow_removed'] as const;
export const KINDS_OF_14 = [...KINDS_OF_13, 'role_status', 'table_status', 'requestforward'] as const;
export const KINDS_OF_15 = [...KINDS_OF_14, 'flow_stats', 'cont_status'] as const;

/** All that 1.3 calls ACTION. */
const ACTIONS =
  (1 << PacketInReason.APPLY_ACTION) |
  (1 << PacketInReason.ACTION_SET) |
  (1 << PacketInReason.GROUP) |
  (1 << PacketInReason.PACKET_OUT);
const ACTION = 1 << PacketInReason.APPLY_ACTION;

/** A packet-in's reason in 1.3: ACTION where 1.4 says what kind of. */
export const packetInReasonTo13 = (reason: number): number =>
  (1 << reason) & ACTIONS ? PacketInReason.APPLY_ACTION : reason;

const packetInMaskTo13 = (mask: number): number => (mask & ~ACTIONS) | (mask & ACTIONS ? ACTION : 0);

/** `known`: what was said of the action's kinds before. */
const packetInMaskFrom13 = (mask: number, known: number): number =>
  ((mask & ~ACTIONS) | (mask & ACTION ? known & ACTIONS || ACTIONS : 0)) >>> 0;

type AsyncInit = Omit<MessageInitOf<'set_async'>, 'type' | 'xid'>;

/** Of its own: not every engine that runs this has structuredClone. */
const copyOf = (settings: Settings): Settings =>
  Object.fromEntries(
    Object.entries(settings).map(([kind, [master, slave]]) => [kind, [master, slave]]),
  ) as Settings;

export class AsyncConfig {
  #settings: Settings;
  role: number = ControllerRole.EQUAL;

  constructor() {
    const start = Object.entries(KINDS).map(([kind, [, master, slave]]) => [kind, [master, slave]]);
    this.#settings = Object.fromEntries(start) as Settings;
  }

  /**
   * A controller's set_async: what it does not mention stays.
   * @throws OpenFlowError ASYNC_CONFIG_FAILED; then nothing has changed
   */
  set(properties: readonly AsyncProperty[], xid: number): MessageOf<'set_async'> {
    const settings = copyOf(this.#settings);
    for (const one of properties) {
      const [, kind, whose] = /^(.*)_(master|slave)$/.exec(one.type) as unknown as [
        string,
        AsyncKind,
        string,
      ];
      if (!('mask' in one))
        fail(ErrorType.BAD_PROPERTY, BadPropertyCode.BAD_EXPERIMENTER, `set_async: ${one.type}`);
      if (one.mask & ~KINDS[kind][0]) {
        fail(
          ErrorType.ASYNC_CONFIG_FAILED,
          AsyncConfigFailedCode.INVALID,
          `set_async: ${kind} has no reasons 0x${one.mask.toString(16)}`,
        );
      }
      if (one.mask !== 0 && NEVER.includes(kind)) {
        fail(
          ErrorType.ASYNC_CONFIG_FAILED,
          AsyncConfigFailedCode.UNSUPPORTED,
          `set_async: ${kind} is never sent here`,
        );
      }
      settings[kind][whose === 'master' ? 0 : 1] = one.mask;
    }
    this.#settings = settings;
    return { type: 'set_async', xid, ...this.#to13(settings) };
  }

  /** A switch's get_async_reply. */
  replyTo13(properties: readonly AsyncProperty[], xid: number): MessageOf<'get_async_reply'> {
    const settings: Partial<Settings> = {};
    for (const kind of KINDS_OF_13) {
      const mask = (whose: string): number => {
        const found = properties.find(({ type }) => type === `${kind}_${whose}`);
        return found !== undefined && 'mask' in found ? found.mask : 0;
      };
      settings[kind] = [mask('master'), mask('slave')];
    }
    return { type: 'get_async_reply', xid, ...this.#to13(settings as Settings) };
  }

  #to13({ packet_in, port_status, flow_removed }: Settings): AsyncConfig13 {
    return {
      packet_in_mask: packet_in.map(packetInMaskTo13) as Masks,
      port_status_mask: port_status,
      flow_removed_mask: flow_removed,
    };
  }

  /** set_async of a controller that speaks 1.3: of 1.4's kinds only those of 1.3 are set. */
  setFrom13(config: AsyncInit) {
    return this.#properties(KINDS_OF_13, this.#from13(config, [0, 0]));
  }

  /** The device's answer to get_async_request: its own masks, and what is kept here. `kinds`: of the version. */
  replyFrom13<K extends AsyncKind>(config: AsyncInit, kinds: readonly K[]) {
    const settings = { ...this.#settings, ...this.#from13(config, this.#settings.packet_in) };
    return this.#properties(kinds, settings);
  }

  #from13(config: AsyncInit, known: Masks): Pick<Settings, (typeof KINDS_OF_13)[number]> {
    const { packet_in_mask, port_status_mask, flow_removed_mask } = config;
    return {
      packet_in: packet_in_mask.map((mask, i) => packetInMaskFrom13(mask, known[i])) as Masks,
      port_status: [...port_status_mask],
      flow_removed: [...flow_removed_mask],
    };
  }

  #properties<K extends AsyncKind>(kinds: readonly K[], settings: Record<K, Masks>) {
    return kinds.flatMap((kind) => {
      const [master, slave] = settings[kind];
      return [
        { type: `${kind}_slave` as const, mask: slave },
        { type: `${kind}_master` as const, mask: master },
      ];
    });
  }

  /** Whether the controller gets a message of a kind that 1.3 does not know. */
  wants(kind: AsyncKind, reason: number): boolean {
    return (this.#settings[kind][this.role === ControllerRole.SLAVE ? 1 : 0] & (1 << reason)) !== 0;
  }
}

type AsyncConfig13 = Omit<MessageOf<'set_async'>, 'type' | 'xid'>;
