/** BUNDLE_CONTROL and BUNDLE_ADD_MESSAGE, and what a commit does: one transaction of one cell, then changes of ports. */
import { decode, type MessageOf, messageXid, OFP_VERSION, OpenFlowError } from '../../openflow/index.ts';
import { BundleCtrlType } from '../../openflow/v14/constants.ts';
import { headOf } from '../cell-conversation.ts';
import type { Logged } from '../cell-log.ts';
import { type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Liveness } from '../liveness.ts';
import type { Barriers } from './barriers.ts';
import { type Bundle, type Control, encodeControl, parseAddition, parseControl } from './bundles.ts';
import { BundleFailedCode, bundleError, ONF_EXPERIMENTER, OnfType } from './onf.ts';
import type { Session } from './session.ts';

/** ofp_bundle_add_msg of OpenFlow 1.4 and later: the message inside begins here. */
const INSIDE_OFFSET = 16;

type Experimenter = MessageOf<'experimenter'>;
type PortMod = MessageOf<'port_mod'>;

interface Parts {
  cells: Cells;
  barriers: Barriers;
  clock: Clock;
  liveness: Liveness;
  /** Throws OpenFlowError for a change that cannot be made. */
  checkPortMod: (session: Session, message: PortMod) => void;
  portMod: (session: Session, message: PortMod) => void;
}

export class BundleRequests {
  readonly counters = { committed: 0, failed: 0 };
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `original`: the message as it was received. */
  handle(session: Session, message: Experimenter, original: Uint8Array): void {
    if (message.exp_type === OnfType.BUNDLE_ADD_MESSAGE) this.#add(session, message, original);
    else this.#control(session, message, original);
  }

  #add(session: Session, message: Experimenter, original: Uint8Array): void {
    const addition = parseAddition(message.data, message.xid);
    const written = session.version === OFP_VERSION ? addition.bytes : original.subarray(INSIDE_OFFSET);
    session.bundles.add(addition, headOf(written));
  }

  #control(session: Session, message: Experimenter, original: Uint8Array): void {
    const control = parseControl(message.data);
    const { xid } = message;
    const { bundles } = session;
    switch (control.type) {
      case BundleCtrlType.OPEN_REQUEST:
        bundles.open(control);
        break;
      case BundleCtrlType.CLOSE_REQUEST:
        bundles.close(control);
        break;
      case BundleCtrlType.DISCARD_REQUEST:
        bundles.discard(control);
        break;
      case BundleCtrlType.COMMIT_REQUEST:
        this.#commit(session, control, bundles.take(control), xid, headOf(original));
        return;
      default:
        throw bundleError(BundleFailedCode.BAD_TYPE, `no bundle control ${control.type}`);
    }
    answer(session, control, xid);
  }

  #commit(session: Session, control: Control, bundle: Bundle, xid: number, head: Uint8Array): void {
    const { cells, barriers, clock, liveness, checkPortMod, portMod } = this.#parts;
    const fail = (why: string) => {
      this.counters.failed++;
      session.refuse(bundleError(BundleFailedCode.MSG_FAILED, `bundle ${bundle.id}: ${why}`), head);
    };
    if (!forEachPort(session, bundle, checkPortMod)) {
      fail('a port cannot be changed like this');
      return;
    }
    const succeed = () => {
      // Checked before: only the system itself can still refuse it.
      if (!forEachPort(session, bundle, portMod)) {
        fail('a port could not be changed');
        return;
      }
      this.counters.committed++;
      answer(session, control, xid);
    };
    if (bundle.parts.length === 0) {
      succeed();
      return;
    }
    const cell = cells.get(bundle.cell ?? DEFAULT_CELL);
    if (cell === undefined) {
      fail(`there is no cell ${bundle.cell}`);
      return;
    }
    const messages = bundle.parts.map(({ bytes, head }) => {
      return { bytes, request: { asker: session, xid: messageXid(bytes), head } };
    });
    for (const { bytes } of bundle.parts) {
      const message = decode(bytes);
      if (message.type === 'group_mod') liveness.watch(cell, message);
    }
    barriers.touched(cell);
    const sent = cell.control.transaction(messages, (committed) => {
      if (!committed) {
        fail('a message was refused, so nothing is changed');
        return;
      }
      for (const { bytes } of bundle.parts) cell.log.record(decode(bytes) as Logged, bytes, clock.now);
      succeed();
    });
    if (!sent) fail(`cell ${cell.id} does not take in messages fast enough`);
  }
}

/** False: it failed for one of them, and its error was sent. */
const forEachPort = (
  session: Session,
  bundle: Bundle,
  act: (session: Session, message: PortMod) => void,
): boolean => {
  for (const { message, head } of bundle.portMods) {
    try {
      act(session, message);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      session.refuse(error, head);
      return false;
    }
  }
  return true;
};

const answer = (session: Session, { id, type, flags }: Control, xid: number): void =>
  session.send({
    type: 'experimenter',
    xid,
    experimenter: ONF_EXPERIMENTER,
    exp_type: OnfType.BUNDLE_CONTROL,
    data: encodeControl({ id, type: type + 1, flags }),
  });
