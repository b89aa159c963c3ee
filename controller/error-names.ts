/** Names of the errors that a device answers with: those of OpenFlow 1.3, and what came after it. */

import { ErrorType, errorName } from '../openflow/index.ts';
import {
  AsyncConfigFailedCode,
  BadPropertyCode,
  FlowMonitorFailedCode,
  ErrorType as LaterErrorType,
} from '../openflow/v14/errors.ts';
import { BundleFailedCode } from '../openflow/v15/errors.ts';
import { ONF_EXPERIMENTER } from './onf.ts';

/** Types of OpenFlow 1.4 that 1.3 does not have. */
const LATER: Readonly<Record<number, readonly [string, Readonly<Record<string, number>>]>> = {
  [LaterErrorType.BAD_PROPERTY]: ['BAD_PROPERTY', BadPropertyCode],
  [LaterErrorType.ASYNC_CONFIG_FAILED]: ['ASYNC_CONFIG_FAILED', AsyncConfigFailedCode],
  [LaterErrorType.FLOW_MONITOR_FAILED]: ['FLOW_MONITOR_FAILED', FlowMonitorFailedCode],
  [LaterErrorType.BUNDLE_FAILED]: ['BUNDLE_FAILED', BundleFailedCode],
};

/** EXT-230 has the codes of BUNDLE_FAILED from this one on, as the exp_type of an experimenter error. */
const FIRST_BUNDLE_CODE = 2300;

/** The specification's name of an error; `data` is that of the error message. */
export function deviceErrorName(type: number, code: number, data: Uint8Array): string {
  if (type === ErrorType.EXPERIMENTER && data.length >= 4) {
    const experimenter = new DataView(data.buffer, data.byteOffset).getUint32(0);
    if (experimenter === ONF_EXPERIMENTER) {
      const bundle = nameIn(LATER[LaterErrorType.BUNDLE_FAILED], code - FIRST_BUNDLE_CODE);
      if (bundle !== undefined) return bundle;
    }
    return `EXPERIMENTER/0x${experimenter.toString(16)}/${code}`;
  }
  return nameIn(LATER[type], code) ?? errorName(type, code);
}

function nameIn(entry: (typeof LATER)[number] | undefined, code: number): string | undefined {
  const found = Object.entries(entry?.[1] ?? {}).find(([, value]) => value === code);
  return entry === undefined || found === undefined ? undefined : `${entry[0]}/${found[0]}`;
}
