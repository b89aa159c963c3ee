/**
 * A device that talks nonsense: shakes hands with the controller on this machine's port (first argument), sends as
 * many malformed messages as the second argument says, and then asks for an echo. Prints one JSON object.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { decode, encode, Framer, type MessageInit } from '../../openflow/index.ts';
import { nonsense } from './e2e-nonsense.ts';

const [port, count] = process.argv.slice(2).map(Number);
const LAST_XID = 0x7fffffff;

const match = { in_port: 1, eth_type: 0x0800, ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2', ip_proto: 17 };
const SAMPLES: MessageInit[] = [
  { type: 'packet_in', reason: 0, total_len: 60, match, data: new Uint8Array(60) },
  { type: 'flow_removed', reason: 0, match, priority: 1 },
  { type: 'port_status', reason: 0, desc: { port_no: 9, hw_addr: '02:00:00:00:00:09', name: 'x' } },
  { type: 'multipart_reply', body: { type: 'flow', flows: [{ match, instructions: [] }] } },
  { type: 'dispatch_query', query_id: 1, in_port: 1, total_len: 60, match, data: new Uint8Array(60) },
  { type: 'cell_status', state: 0, match },
  { type: 'error', error_type: 1, code: 1, data: new Uint8Array(8) },
  { type: 'experimenter', experimenter: 0xf10cce11, exp_type: 99, data: new Uint8Array(16) },
];

const socket = connect({ host: '127.0.0.1', port, noDelay: true });
await once(socket, 'connect');
const framer = new Framer();
let errors = 0;
const done = Promise.withResolvers<boolean>();
const send = (message: MessageInit) => socket.write(encode(message));
const nonsenseBytes = Buffer.concat(nonsense(SAMPLES, count));

function receive(bytes: Uint8Array): void {
  const message = decode(bytes);
  const { xid } = message;
  if (message.type === 'features_request')
    send({ type: 'features_reply', xid, datapath_id: 0xbadn, n_tables: 254 });
  else if (message.type === 'multipart_request') {
    send({ type: 'multipart_reply', xid, body: { type: 'port_desc', ports: [] } });
  } else if (message.type === 'dispatch_config') {
    send({ ...message, flags: 0 });
    // A device by now.
    socket.write(nonsenseBytes);
    send({ type: 'echo_request', xid: LAST_XID });
  } else if (message.type === 'error') errors++;
  else if (message.type === 'echo_reply' && xid === LAST_XID) done.resolve(true);
}

socket.on('data', (chunk: Buffer) => framer.push(chunk, receive));
socket.on('close', () => done.resolve(false));
socket.on('error', () => done.resolve(false));
send({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [4] }] });
const alive = await done.promise;
process.stdout.write(`${JSON.stringify({ errors, alive })}\n`);
socket.destroy();
