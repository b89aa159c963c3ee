/**
 * A controller of OpenFlow 1.3 for a switch of two ports: an entry for each flow of the generator's (frames.ts), and one for the
 * way back. argv[2]: port, argv[3]: number of entries. Prints 'ready' when the switch says that they are in.
 */
import { createServer } from 'node:net';
import {
  type ActionInit,
  encode,
  Framer,
  type Match,
  type MessageInit,
  messageType,
  messageXid,
} from '../../openflow/index.ts';
import { FIRST_PORT } from './frames.ts';

const OFPT = { HELLO: 0, ERROR: 1, ECHO_REQUEST: 2, FEATURES_REPLY: 6, BARRIER_REPLY: 21 } as const;

const [port, entries] = process.argv.slice(2).map(Number);

const entry = (match: Match, output: number): MessageInit => {
  const actions: ActionInit[] = [{ type: 'output', port: output }];
  return { type: 'flow_mod', priority: 100, match, instructions: [{ type: 'apply_actions', actions }] };
};

const messages = [entry({ in_port: 2 }, 1)];
for (let flow = 0; flow < entries; flow++) {
  messages.push(entry({ in_port: 1, eth_type: 0x0800, ip_proto: 17, udp_src: FIRST_PORT + flow }, 2));
}

createServer({ noDelay: true }, (socket) => {
  const send = (message: MessageInit) => void socket.write(encode(message));
  const framer = new Framer();
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) =>
    framer.push(chunk, (bytes) => {
      switch (messageType(bytes)) {
        case OFPT.HELLO:
          send({ type: 'features_request' });
          return;
        case OFPT.FEATURES_REPLY:
          for (const message of messages) send(message);
          send({ type: 'barrier_request' });
          return;
        case OFPT.BARRIER_REPLY:
          process.stdout.write('ready\n');
          return;
        case OFPT.ECHO_REQUEST:
          send({ type: 'echo_reply', xid: messageXid(bytes) });
          return;
        case OFPT.ERROR:
          throw new Error(`the switch refuses: ${Buffer.from(bytes).toString('hex')}`);
      }
    }),
  );
  send({ type: 'hello', elements: [] });
}).listen(port, '127.0.0.1');
