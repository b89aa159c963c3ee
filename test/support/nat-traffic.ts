/**
 * TCP and UDP of either family, run inside a host's namespace.
 *
 *   nat-traffic.ts serve PORT              prints 'ready'; answers streams and datagrams with their SHA-256
 *   nat-traffic.ts tcp HOST PORT BYTES     prints 'intact' when the answer is the sum of what was sent
 *   nat-traffic.ts udp HOST PORT COUNT     the same for so many datagrams, one after the other
 */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6 } from 'node:net';

const DATAGRAM_BYTES = 1200;
/** One that is lost is found out in the end. */
const ANSWER_MS = 30_000;
const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function serve(port: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(hash.digest('hex')));
    socket.on('error', () => socket.destroy());
  });
  // Both families.
  server.listen(port, '::');
  await once(server, 'listening');
  const datagrams = createSocket('udp6');
  datagrams.on('message', (message, from) => datagrams.send(sum(message), from.port, from.address));
  datagrams.bind(port, '::');
  await once(datagrams, 'listening');
  console.log('ready');
}

async function tcp(host: string, port: number, length: number): Promise<boolean> {
  const bytes = randomBytes(length);
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.end(bytes);
  let answer = '';
  for await (const chunk of socket.setEncoding('latin1')) answer += chunk;
  return answer === sum(bytes);
}

async function udp(host: string, port: number, count: number): Promise<boolean> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  // Answers come from the address that was sent to, or the kernel drops them.
  socket.connect(port, host);
  await once(socket, 'connect');
  for (let n = 0; n < count; n++) {
    const bytes = randomBytes(1 + (n % DATAGRAM_BYTES));
    socket.send(bytes);
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.toString() !== sum(bytes)) return false;
  }
  socket.close();
  return true;
}

const [mode, host, port, amount] = process.argv.slice(2);
if (mode === 'serve') await serve(Number(host));
else {
  const intact = await (mode === 'tcp' ? tcp : udp)(host, Number(port), Number(amount));
  console.log(intact ? 'intact' : 'damaged');
}
