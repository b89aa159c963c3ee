/**
 * Vendor messages and statistics of OpenFlow 1.0 are the experimenter's of 1.3, but for a type that 1.3 has a field for:
 * it is the first word of the data, as all vendors have it.
 */
import { OpenFlowError } from '../errors.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';

const TYPE_BYTES = 4;

interface Vendor {
  readonly vendor: number;
  readonly data: Uint8Array;
}
interface Experimenter {
  readonly experimenter: number;
  readonly exp_type: number;
  readonly data?: Uint8Array;
}

/** @throws OpenFlowError BAD_EXPERIMENTER (BAD_VENDOR of 1.0) where there is no room for a type */
export function experimenterData({ vendor, data }: Vendor): Required<Experimenter> {
  if (data.length < TYPE_BYTES) {
    const text = `${data.length} bytes of data of vendor 0x${vendor.toString(16)} name no type`;
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXPERIMENTER, text);
  }
  const view = new DataView(data.buffer, data.byteOffset);
  return { experimenter: vendor, exp_type: view.getUint32(0), data: data.subarray(TYPE_BYTES) };
}

/** The vendor and its data that stand at `offset` of a message. */
export function vendorAt(bytes: Uint8Array, offset: number): Vendor {
  const vendor = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset);
  return { vendor, data: bytes.subarray(offset + 4) };
}

export function vendorData({ experimenter, exp_type, data }: Experimenter): Vendor {
  const whole = new Uint8Array(TYPE_BYTES + (data?.length ?? 0));
  new DataView(whole.buffer).setUint32(0, exp_type);
  if (data !== undefined) whole.set(data, TYPE_BYTES);
  return { vendor: experimenter, data: whole };
}
