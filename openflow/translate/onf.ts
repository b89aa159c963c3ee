/**
 * Messages that came into the specification with OpenFlow 1.4, as 1.3 has them: experimenter messages of the ONF
 * (EXT-230 for bundles; role status as Open vSwitch sends it). In the canonical form they are experimenter messages.
 */
import { createCodec } from '../codec.ts';
import type { MessageInitOf, MessageOf } from '../index.ts';
import { decode, encode } from '../index.ts';
import { ONF_EXPERIMENTER } from '../nicira/fields.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import type { MessageIn, MessageOut } from '../schema/messages.ts';
import { experimenterMessage } from '../schema/messages.ts';
import { laterMessages } from '../v14/messages.ts';

const messages = {
  role_status: experimenterMessage(ONF_EXPERIMENTER, 1911, laterMessages.role_status.fields),
  bundle_control: experimenterMessage(ONF_EXPERIMENTER, 2300, laterMessages.bundle_control.fields),
  bundle_add_message: experimenterMessage(ONF_EXPERIMENTER, 2301, laterMessages.bundle_add_message.fields),
};
export type OnfMessage = MessageOut<typeof messages>;
export type OnfMessageInit = MessageIn<typeof messages>;

const codec = createCodec(4, messages, ExtendedDecoderCompiler, ExtendedEncoderCompiler);
const TYPES: readonly number[] = Object.values(messages).map(
  ({ experimenter }) => experimenter?.type as number,
);

export const isOnf = ({ experimenter, exp_type }: { experimenter: number; exp_type: number }): boolean =>
  experimenter === ONF_EXPERIMENTER && TYPES.includes(exp_type);

export const toExperimenter = (message: OnfMessageInit): MessageOf<'experimenter'> =>
  decode(codec.encode(message)) as MessageOf<'experimenter'>;

/** @throws OpenFlowError where its length is wrong */
export const fromExperimenter = (message: MessageInitOf<'experimenter'>): OnfMessage =>
  codec.decode(encode(message));

/** EXT-230 has the codes of OFPET_BUNDLE_FAILED as experimenter errors of the ONF, from this one on. */
export const FIRST_BUNDLE_CODE = 2300;
/** One code for each of OpenFlow 1.5's. */
export const BUNDLE_CODES = 19;
