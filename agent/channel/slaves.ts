/** What a controller whose role is slave must not send: whatever changes the device (OpenFlow 1.3.5, section 6.3.6). */
import {
  HEADER_BYTES,
  type Message,
  type MessageType,
  messageType,
  TableConfigFlag,
} from '../../openflow/index.ts';
import { ONF_EXPERIMENTER } from './onf.ts';

const CHANGES = new Set<MessageType>([
  'packet_out',
  'flow_mod',
  'group_mod',
  'port_mod',
  'table_mod',
  'meter_mod',
  'dispatch_config',
  'dispatch_rule',
  'program',
]);

const OFPT_MULTIPART_REQUEST = 18;

export const changesState = (message: Message): boolean => {
  switch (message.type) {
    case 'multipart_request':
      // With a body it sets the tables' features.
      return message.body.type === 'table_features' && message.body.tables.length > 0;
    case 'table_config':
      return (message.flags & TableConfigFlag.QUERY) === 0;
    case 'cell_message': {
      const { message: inside } = message;
      return inside.length < HEADER_BYTES || messageType(inside) !== OFPT_MULTIPART_REQUEST;
    }
    case 'experimenter':
      // Bundles.
      return message.experimenter === ONF_EXPERIMENTER;
    default:
      return CHANGES.has(message.type);
  }
};
