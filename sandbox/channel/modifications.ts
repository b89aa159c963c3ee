/**
 * Which messages to a cell may change what it decides about packets. Agent and cell both count them: a verdict that says
 * how many the cell had seen tells the agent whether it was made before or after a change.
 */
const OFPT = { EXPERIMENTER: 4, PACKET_OUT: 13, MULTIPART_REQUEST: 18, BARRIER_REQUEST: 20 } as const;
/** Where an experimenter message has its exp_type, whose last byte tells those of the extension apart. */
const EXP_TYPE_END = 15;
const PATH_CREDIT = 12;

export function mayChangeVerdicts(message: Uint8Array): boolean {
  switch (message[1]) {
    case OFPT.PACKET_OUT:
    case OFPT.MULTIPART_REQUEST:
    case OFPT.BARRIER_REQUEST:
      return false;
    case OFPT.EXPERIMENTER:
      return message[EXP_TYPE_END] !== PATH_CREDIT;
    default:
      return true;
  }
}
