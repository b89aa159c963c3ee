/**
 * Multipart requests in several messages (OpenFlow 1.3.5, section 7.3.5). The device keeps none of their parts: no request
 * it carries out is longer than a message. All parts of such a request get one error.
 */
import {
  BadRequestCode,
  ErrorType,
  type MessageOf,
  MultipartFlag,
  OpenFlowError,
} from '../../openflow/index.ts';

export class MultipartRequests {
  /** xid of the request whose further parts are passed over. */
  #refused: number | undefined;

  /** True for a request that is whole, false for a part to be passed over. Throws OpenFlowError at the first part. */
  whole({ xid, flags }: MessageOf<'multipart_request'>): boolean {
    const more = (flags & MultipartFlag.MORE) !== 0;
    if (this.#refused === xid) {
      if (!more) this.#refused = undefined;
      return false;
    }
    this.#refused = undefined;
    if (!more) return true;
    this.#refused = xid;
    throw new OpenFlowError(
      ErrorType.BAD_REQUEST,
      BadRequestCode.MULTIPART_BUFFER_OVERFLOW,
      'a multipart request must fit one message',
    );
  }
}
