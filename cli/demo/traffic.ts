/**
 * Real traffic for the demo, run inside a host's namespace: a program of its own, because a process has one
 * network namespace. It speaks JSON lines on stdout.
 *
 *   traffic.ts tcp-receive PORT                           {"listening":PORT}; answers each stream with its SHA-256
 *   traffic.ts tcp-send HOST PORT CONNECTIONS BYTES       {"bytes","ok","failed","seconds"}
 *   traffic.ts udp-echo PORT                              {"listening":PORT}
 *   traffic.ts udp-flows HOST PORT COUNT                  {"flows","answered","rtt_us":{"p50","p99"}}
 *   traffic.ts udp-probe HOST PORT PER_SECOND SOURCE_PORT [PATIENCE_MS]
 *                                                         {"probing":SOURCE_PORT} at the first answer, before
 *                                                         which it asks slowly; when its input ends, and with
 *                                                         patience (2000) for the last answers
 *                                                         {"sent","received","lost","longest_gap_ms",
 *                                                         "last_answered"}
 */

import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { quantile } from '../lib/statistics.ts';

function tell(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function tcpReceive(port: number): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => socket.end(hash.digest('hex')));
    // The sender sees the torn connection too, and it is the one that counts.
    socket.on('error', () => socket.destroy());
  });
  server.listen(port, '0.0.0.0', 4096);
  await once(server, 'listening');
  tell({ listening: port });
}

/** Sends `size` random bytes; resolves to whether the far end's SHA-256 is ours. */
async function sendStream(host: string, port: number, size: number): Promise<boolean> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect');
  const answer = readAll(socket);
  // The stream's own: a block that strayed from another stream shows in the sum.
  const block = randomBytes(64 * 1024);
  const hash = createHash('sha256');
  for (let left = size; left > 0; ) {
    block.writeUInt32LE(left >>> 0, 0);
    // Node may keep the bytes until they are sent.
    const piece = Buffer.from(block.subarray(0, Math.min(left, block.length)));
    hash.update(piece);
    left -= piece.length;
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  socket.end();
  return (await answer) === hash.digest('hex');
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('latin1')) text += chunk;
  return text;
}

async function tcpSend(host: string, port: number, connections: number, size: number): Promise<void> {
  const began = performance.now();
  const results = await Promise.allSettled(
    Array.from({ length: connections }, () => sendStream(host, port, size)),
  );
  const intact = results.filter((result) => result.status === 'fulfilled' && result.value).length;
  const reason = results.find((result) => result.status === 'rejected')?.reason;
  tell({
    bytes: intact * size,
    ok: intact === connections,
    failed: connections - intact,
    seconds: (performance.now() - began) / 1000,
    ...(reason === undefined ? {} : { reason: String(reason) }),
  });
}

async function bound(port: number): Promise<UdpSocket> {
  const socket = createSocket('udp4');
  socket.bind(port);
  await once(socket, 'listening');
  return socket;
}

async function udpEcho(port: number): Promise<void> {
  const socket = await bound(port);
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  tell({ listening: port });
}

/** How long the first answer of a flow may take before its packet counts as lost: its cell has to be set up. */
const UNANSWERED_AFTER_MS = 10_000;

/** One flow after the other, each with a source port of its own: the round trip of a flow's first packet. */
async function udpFlows(host: string, port: number, count: number): Promise<void> {
  const rtts: number[] = [];
  for (let n = 0; n < count; n++) {
    const socket = await bound(0);
    const sentAt = performance.now();
    socket.send(Buffer.from(`flow ${n}`), port, host);
    try {
      await once(socket, 'message', { signal: AbortSignal.timeout(UNANSWERED_AFTER_MS) });
      rtts.push((performance.now() - sentAt) * 1000);
    } catch (error) {
      if ((error as Error).name !== 'AbortError') throw error;
    }
    socket.close();
  }
  rtts.sort((a, b) => a - b);
  tell({
    flows: count,
    answered: rtts.length,
    rtt_us: { p50: Math.round(quantile(rtts, 0.5)), p99: Math.round(quantile(rtts, 0.99)) },
  });
}

/**
 * Packets a second until the first answer, at most: a device holds so many for a flow that it still sets up (64
 * unless told otherwise), and how long that takes is not what a probe is for.
 */
const ASKING_PER_SECOND = 20;
/** Packets a late tick makes up for, at most: after a pause of this process no socket's buffer overflows by its doing. */
const BURST = 50;
/** In which the last answers may still come, in turns. Not by the clock: a pause of this process is no loss. */
const PATIENCE_MS = 2000;
const TURN_MS = 10;

/** A steady flow of numbered packets; every one must come back. */
async function udpProbe(
  host: string,
  port: number,
  perSecond: number,
  sourcePort: number,
  patienceMs: number,
): Promise<void> {
  const socket = await bound(sourcePort);
  const seen = new Set<number>();
  let sent = 0;
  let lastAnswer = 0;
  let longestGap = 0;
  socket.on('message', (message) => {
    const number = message.readUInt32BE(0);
    if (seen.has(number)) return;
    const now = performance.now();
    if (seen.size === 0) tell({ probing: sourcePort });
    else longestGap = Math.max(longestGap, now - lastAnswer);
    lastAnswer = now;
    seen.add(number);
  });
  let due = 1;
  let last = performance.now();
  const ticker = setInterval(() => {
    // By the clock: a late tick sends what is due.
    const now = performance.now();
    const rate = seen.size === 0 ? Math.min(perSecond, ASKING_PER_SECOND) : perSecond;
    due = Math.min(BURST, due + ((now - last) / 1000) * rate);
    last = now;
    for (; due >= 1; due--, sent++) {
      const message = Buffer.alloc(32);
      message.writeUInt32BE(sent, 0);
      socket.send(message, port, host);
    }
  }, 1000 / perSecond);
  process.stdin.resume();
  await once(process.stdin, 'end');
  clearInterval(ticker);
  for (let left = patienceMs; left > 0 && seen.size < sent; left -= TURN_MS)
    await new Promise((resolve) => setTimeout(resolve, TURN_MS));
  socket.close();
  tell({
    sent,
    received: seen.size,
    lost: sent - seen.size,
    longest_gap_ms: Math.round(longestGap * 10) / 10,
    last_answered: seen.has(sent - 1),
  });
}

const [mode, ...rest] = process.argv.slice(2);
const number = (index: number) => Number(rest[index]);
switch (mode) {
  case 'tcp-receive':
    await tcpReceive(number(0));
    break;
  case 'tcp-send':
    await tcpSend(rest[0], number(1), number(2), number(3));
    break;
  case 'udp-echo':
    await udpEcho(number(0));
    break;
  case 'udp-flows':
    await udpFlows(rest[0], number(1), number(2));
    break;
  case 'udp-probe':
    await udpProbe(rest[0], number(1), number(2), number(3), Number(rest[4] ?? PATIENCE_MS));
    break;
  default:
    throw new Error(`traffic.ts: no such mode: ${mode}`);
}
