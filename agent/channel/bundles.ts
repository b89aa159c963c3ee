/**
 * Bundles (OpenFlow 1.4, section 7.3.9; in 1.3 by the ONF extension EXT-230): messages that are collected and then carried
 * out together or not at all. Dialects of 1.4 and later bring their bundle messages into the form of the extension.
 */
import {
  BadRequestCode,
  decode,
  ErrorType,
  HEADER_BYTES,
  type Message,
  type MessageOf,
  messageLength,
  messageXid,
  OpenFlowError,
} from '../../openflow/index.ts';
import { dialect13 } from '../../openflow/translate/v13.ts';
import { BundleFlag } from '../../openflow/v14/constants.ts';
import { DEFAULT_CELL } from '../cells.ts';
import { BundleFailedCode, bundleError } from './onf.ts';

/** A cell does what any of them asks for. */
const FLAGS = BundleFlag.ATOMIC | BundleFlag.ORDERED;

const CONTROL_BYTES = 8;
const ADD_BYTES = 8;

/** A controller's open bundles, and messages and bytes of one: as much as a cell takes in a transaction. */
export const MAX_BUNDLES = 16;
export const MAX_MESSAGES = 4000;
export const MAX_BYTES = 256 * 1024;

/** A message for a cell; decoded again when it is carried out, since it takes several times as much room then. */
export interface Part {
  readonly bytes: Uint8Array;
  /** Its first bytes as the controller wrote them, for errors. */
  readonly head: Uint8Array;
}

export interface Bundle {
  readonly id: number;
  readonly flags: number;
  closed: boolean;
  /** All messages of a bundle are for one cell. */
  cell: number | undefined;
  readonly parts: Part[];
  readonly portMods: { readonly message: MessageOf<'port_mod'>; readonly head: Uint8Array }[];
  bytes: number;
}

export interface Control {
  readonly id: number;
  readonly type: number;
  readonly flags: number;
}

const viewOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** Throws OpenFlowError. Properties that follow are an experimenter's and mean nothing here. */
export const parseControl = (data: Uint8Array): Control => {
  if (data.length < CONTROL_BYTES) throw tooShort('bundle_control', data.length);
  const view = viewOf(data);
  return { id: view.getUint32(0), type: view.getUint16(4), flags: view.getUint16(6) };
};

export const encodeControl = ({ id, type, flags }: Control): Uint8Array => {
  const data = new Uint8Array(CONTROL_BYTES);
  const view = viewOf(data);
  view.setUint32(0, id);
  view.setUint16(4, type);
  view.setUint16(6, flags);
  return data;
};

export interface Addition {
  readonly id: number;
  readonly flags: number;
  /** The message inside, of the length in its header. */
  readonly bytes: Uint8Array;
}

/** Throws OpenFlowError. `xid`: of the message around, which the one inside must have, too. */
export const parseAddition = (data: Uint8Array, xid: number): Addition => {
  if (data.length < ADD_BYTES + HEADER_BYTES) throw tooShort('bundle_add_message', data.length);
  const view = viewOf(data);
  const inside = data.subarray(ADD_BYTES);
  const length = messageLength(inside);
  if (length < HEADER_BYTES || length > inside.length) {
    const text = `a bundled message of ${length} bytes in ${inside.length}`;
    throw bundleError(BundleFailedCode.MSG_BAD_LEN, text);
  }
  if (messageXid(inside) !== xid) {
    throw bundleError(BundleFailedCode.MSG_BAD_XID, 'a bundled message has the xid of the one around it');
  }
  return { id: view.getUint32(0), flags: view.getUint16(6), bytes: inside.subarray(0, length) };
};

/** The bundles of one controller. What throws is an OpenFlowError of BundleFailedCode. */
export class Bundles {
  readonly #open = new Map<number, Bundle>();

  get size(): number {
    return this.#open.size;
  }

  open({ id, flags }: Pick<Control, 'id' | 'flags'>): Bundle {
    if (this.#open.has(id)) {
      this.#open.delete(id);
      throw bundleError(BundleFailedCode.BAD_ID, `bundle ${id} was open already; it is discarded`);
    }
    if ((flags & ~FLAGS) !== 0) throw bundleError(BundleFailedCode.BAD_FLAGS, `bundle flags ${flags}`);
    if (this.#open.size >= MAX_BUNDLES) {
      throw bundleError(BundleFailedCode.OUT_OF_BUNDLES, `${MAX_BUNDLES} bundles are open`);
    }
    const bundle: Bundle = { id, flags, closed: false, cell: undefined, parts: [], portMods: [], bytes: 0 };
    this.#open.set(id, bundle);
    return bundle;
  }

  close(control: Control): void {
    this.#writable(control).closed = true;
  }

  /** Takes the bundle out. */
  take(control: Control): Bundle {
    const bundle = this.#get(control.id);
    this.#open.delete(control.id);
    if (bundle.flags !== control.flags) throw this.#otherFlags(control);
    return bundle;
  }

  discard({ id }: Control): void {
    this.#get(id);
    this.#open.delete(id);
  }

  /**
   * Adds a message; a bundle that there is not is opened by it. `head`: its first bytes as the controller wrote them. Throws
   * for a message that cannot be carried out in this bundle, which then is what it was.
   */
  add(addition: Addition, head: Uint8Array): void {
    const bundle = this.#open.has(addition.id) ? this.#writable(addition) : this.open(addition);
    const [message] = dialect13.decode(addition.bytes);
    if (bundle.parts.length + bundle.portMods.length >= MAX_MESSAGES) {
      throw bundleError(BundleFailedCode.MSG_TOO_MANY, `a bundle has at most ${MAX_MESSAGES} messages`);
    }
    const bytes = bundle.bytes + addition.bytes.length;
    if (bytes > MAX_BYTES) {
      throw bundleError(BundleFailedCode.MSG_TOO_MANY, `a bundle has at most ${MAX_BYTES} bytes`);
    }
    this.#put(bundle, message, addition.bytes, head);
    bundle.bytes = bytes;
  }

  #put(bundle: Bundle, message: Message, bytes: Uint8Array, head: Uint8Array): void {
    if (message.type === 'port_mod') {
      bundle.portMods.push({ message, head });
      return;
    }
    if (message.type === 'cell_message') {
      const inside = decode(message.message);
      if (inside.type === 'flow_mod') throw unsupported('flow_mod in cell_message');
      this.#part(bundle, message.cell, inside, message.message, head);
      return;
    }
    const cell = message.type === 'flow_mod' ? (message.match.cell ?? DEFAULT_CELL) : DEFAULT_CELL;
    this.#part(bundle, cell, message, bytes, head);
  }

  #part(bundle: Bundle, cell: number, message: Message, bytes: Uint8Array, head: Uint8Array): void {
    if (message.type !== 'flow_mod' && message.type !== 'group_mod' && message.type !== 'meter_mod') {
      throw unsupported(message.type);
    }
    if (bundle.cell !== undefined && bundle.cell !== cell) throw unsupported('a message for a second cell');
    bundle.cell = cell;
    bundle.parts.push({ bytes: bytes.slice(), head });
  }

  #get(id: number): Bundle {
    const bundle = this.#open.get(id);
    if (bundle === undefined) throw bundleError(BundleFailedCode.BAD_ID, `there is no bundle ${id}`);
    return bundle;
  }

  /** The bundle, if it is still open and its flags are these; else it is discarded. */
  #writable(control: Pick<Control, 'id' | 'flags'>): Bundle {
    const bundle = this.#get(control.id);
    if (bundle.closed) {
      this.#open.delete(control.id);
      throw bundleError(BundleFailedCode.BUNDLE_CLOSED, `bundle ${control.id} is closed`);
    }
    if (bundle.flags !== control.flags) {
      this.#open.delete(control.id);
      throw this.#otherFlags(control);
    }
    return bundle;
  }

  #otherFlags({ id, flags }: Pick<Control, 'id' | 'flags'>): OpenFlowError {
    return bundleError(BundleFailedCode.BAD_FLAGS, `bundle ${id} was opened with flags other than ${flags}`);
  }
}

const unsupported = (what: string): OpenFlowError =>
  bundleError(BundleFailedCode.MSG_UNSUP, `${what} cannot be in this bundle`);

const tooShort = (what: string, length: number): OpenFlowError =>
  new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN, `${length} bytes are no ${what}`);
