/**
 * Answers to OpenFlow messages for programs that do not take them. Barriers are never left to a foreign program:
 * one that kept silent would hold up the barriers of the whole device.
 */

export const BARRIER_REQUEST = 20;
const ERROR = 1;
const BARRIER_REPLY = 21;
const BAD_REQUEST = 1;
const BAD_TYPE = 1;
const HEADER_LENGTH = 8;
const ERROR_LENGTH = 12;
/** Of the request, in an error (OpenFlow 1.3, section 7.4.4). */
const QUOTED = 64;

/** BARRIER_REPLY to a barrier, else the error BAD_TYPE. */
export function answerFor(message: Uint8Array): Uint8Array {
  if (message[1] === BARRIER_REQUEST) {
    const reply = message.slice(0, HEADER_LENGTH);
    reply[1] = BARRIER_REPLY;
    return reply;
  }
  const quoted = message.subarray(0, QUOTED);
  const error = new Uint8Array(ERROR_LENGTH + quoted.length);
  error.set(message.subarray(0, HEADER_LENGTH));
  error[1] = ERROR;
  error[2] = 0;
  error[3] = error.length;
  error[9] = BAD_REQUEST;
  error[11] = BAD_TYPE;
  error.set(quoted, ERROR_LENGTH);
  return error;
}
