/**
 * Messages that came into the specification with OpenFlow 1.4, as 1.3 has them: experimenter messages of the ONF
 * (EXT-230 for bundles; role status as Open vSwitch sends it). In the canonical form they are experimenter messages.
 */
import { createCodec } from '../codec.ts';
import type { MessageInitOf, MessageOf } from '../index.ts';
import { decode, encode } from '../index.ts';
import { ONF_EXPERIMENTER } from '../nicira/fields.ts';
import { onfMessages } from '../nicira/onf.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import type { MessageIn, MessageOut } from '../schema/messages.ts';

/** By the names that they have in 1.4. */
const messages = {
  role_status: onfMessages.onf_role_status,
  bundle_control: onfMessages.onf_bundle_control,
  bundle_add_message: onfMessages.onf_bundle_add_message,
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
