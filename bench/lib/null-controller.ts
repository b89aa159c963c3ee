/**
 * What answers the load generator without doing anything: the handshake, and for each packet-in the same three
 * prepared messages that the learning switch sends. Shows how much the generator and the sockets can carry.
 * Arguments: port, wire version.
 */
import { createServer } from 'node:net';
import { Framer, type MessageInit, messageType, Port } from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import type { WireVersion } from '../../openflow/version-name.ts';

const [port, version] = process.argv.slice(2).map(Number) as [number, WireVersion];
const PACKET_IN = 10;
const HELLO = 0;

const dialect = createDialect(version)!;
const match = { in_port: 1, vlan_vid: 0, eth_src: '02:00:00:00:00:01', eth_dst: '02:00:00:00:00:02' };
const actions = [{ type: 'output' as const, port: 2 }];
const flowMod: MessageInit = {
  type: 'flow_mod',
  priority: 100,
  idle_timeout: 30,
  match,
  instructions: [{ type: 'apply_actions', actions }],
};
const packetOut: MessageInit = { type: 'packet_out', buffer_id: 1, in_port: Port.CONTROLLER, actions };
const answer = Buffer.concat([flowMod, flowMod, packetOut].flatMap((message) => dialect.encode(message)));
const MOST = 1024;
const answers = Buffer.concat(Array.from({ length: MOST }, () => answer));

createServer({ noDelay: true }, (socket) => {
  const framer = new Framer();
  let count = 0;
  const take = (bytes: Uint8Array) => {
    const type = messageType(bytes);
    if (type === PACKET_IN) count++;
    else if (type === HELLO) {
      socket.write(dialect.encode({ type: 'hello', elements: [] })[0]);
      socket.write(dialect.encode({ type: 'features_request' })[0]);
    }
  };
  socket.on('data', (chunk: Buffer) => {
    framer.push(chunk, take);
    for (; count > 0; count -= Math.min(count, MOST)) {
      socket.write(answers.subarray(0, Math.min(count, MOST) * answer.length));
    }
  });
  socket.on('error', () => socket.destroy());
}).listen(port, '127.0.0.1');
