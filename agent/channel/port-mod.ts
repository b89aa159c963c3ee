/** PORT_MOD: everything is checked before anything is changed. Spec 7.3.4.3. */
import {
  ErrorType,
  type MessageOf,
  OpenFlowError,
  PortConfig,
  PortModFailedCode,
} from '../../openflow/index.ts';
import { NO_FLOOD, type Port } from '../ports/port.ts';
import { PortError } from '../ports/port-error.ts';
import { advertisedFeatures } from './port-messages.ts';

const CONFIG_BITS = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD | PortConfig.NO_PACKET_IN;
const OPENFLOW_10 = 1;

const failed = (code: number, text: string): OpenFlowError =>
  new OpenFlowError(ErrorType.PORT_MOD_FAILED, code, text);

/**
 * Whether the change can be (a bundle asks before any of its messages is carried out). `version`: what the controller
 * speaks; NO_FLOOD is a bit of OpenFlow 1.0 alone. Throws OpenFlowError.
 */
export const checkPortMod = (
  port: Port | undefined,
  message: MessageOf<'port_mod'>,
  version: number,
): Port => {
  const { port_no, hw_addr, mask, advertise } = message;
  const known = version === OPENFLOW_10 ? CONFIG_BITS | NO_FLOOD : CONFIG_BITS;
  if (port === undefined) throw failed(PortModFailedCode.BAD_PORT, `no port ${port_no}`);
  if (hw_addr !== port.hardwareAddress) {
    throw failed(PortModFailedCode.BAD_HW_ADDR, `port ${port.name} is ${port.hardwareAddress}`);
  }
  if ((mask & ~known) !== 0) {
    throw failed(PortModFailedCode.BAD_CONFIG, `config bits 0x${(mask >>> 0).toString(16)}`);
  }
  // 0 leaves it as it is.
  if (advertise !== 0 && advertise !== advertisedFeatures(port)) {
    throw failed(PortModFailedCode.BAD_ADVERTISE, 'what ports advertise cannot be changed here');
  }
  return port;
};

/** Throws OpenFlowError; the port is then as it was. */
export const modifyPort = (
  found: Port | undefined,
  message: MessageOf<'port_mod'>,
  version: number,
): Port => {
  const port = checkPortMod(found, message, version);
  const { config, mask } = message;
  try {
    port.configure((port.config & ~mask) | (config & mask));
  } catch (error) {
    if (!(error instanceof PortError)) throw error;
    throw failed(PortModFailedCode.EPERM, error.message);
  }
  return port;
};
