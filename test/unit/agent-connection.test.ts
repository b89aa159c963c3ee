import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Connection } from '../../agent/channel/connection.ts';
import type { ConnectionLimits } from '../../agent/channel/connection-options.ts';
import { negotiate, noCommonVersion } from '../../agent/channel/negotiate.ts';
import {
  decode,
  encode,
  Framer,
  type Message,
  type MessageInit,
  messageLength,
  messageVersion,
} from '../../openflow/index.ts';
import type { WireVersion } from '../../openflow/versions.ts';
import { silent } from '../support/agent-world.ts';

describe('which version is spoken', () => {
  test.each<[ours: WireVersion[], theirs: number, bitmap: number[] | undefined, agreed: number | undefined]>([
    [[4], 4, undefined, 4],
    [[4], 6, undefined, 4],
    [[4], 1, undefined, undefined],
    [[4], 1, [1, 4], 4],
    [[4], 6, [5, 6], undefined],
    [[4], 4, [], undefined],
    // With the Flowcell extension the highest of all is 1.3.
    [[1, 4, 5, 6], 6, [1, 4, 5, 6, 0x84], 4],
    [[1, 5, 6], 6, [1, 4, 5, 6, 0x84], 6],
    [[1, 4], 1, undefined, 1],
    // The lower of the two is neither ours nor theirs to change.
    [[1, 4], 3, undefined, undefined],
    [[1, 4, 5, 6], 6, [1, 4, 5], 5],
    [[1, 4, 5, 6], 6, [1, 2, 3], 1],
    [[1, 4, 5, 6], 6, undefined, 6],
    [[1, 4, 5, 6], 200, undefined, 6],
    [[1, 4, 5, 6], 4, [4, 40], 4],
    [[1], 4, [1, 4], 1],
    [[1], 4, undefined, 1],
    [[], 4, undefined, undefined],
  ])('%j and %i %j: %s', (ours, version, bitmap, agreed) => {
    expect(negotiate(ours, { version, bitmap })).toBe(agreed);
  });

  test('nothing in common: a sentence that says what there is', () => {
    expect(noCommonVersion([1, 4], { version: 6, bitmap: [5, 6] })).toBe(
      'this device speaks OpenFlow 1.0, 1.3; the controller offers 1.4, 1.5',
    );
    expect(noCommonVersion([4], { version: 9 })).toContain('wire version 9');
  });
});

describe('a connection', () => {
  let server: net.Server;
  let connection: Connection;
  const open = new Set<net.Socket>();

  afterEach(() => {
    connection.stop();
    for (const socket of open) socket.destroy();
    open.clear();
    server.close();
  });

  const connect = async (protocols?: number[], limits?: Partial<ConnectionLimits>) => {
    server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const messages: Message[] = [];
    const closed: string[] = [];
    const waiting: (() => void)[] = [];
    const events = {
      established: () => {},
      message: (message: Message) => {
        messages.push(message);
      },
      closed: (reason: string) => {
        closed.push(reason);
      },
    };
    const { port } = server.address() as net.AddressInfo;
    const context = { ports: () => [] };
    const options = { host: '127.0.0.1', port, events, context, protocols, limits };
    connection = new Connection({ ...options, logger: silent });
    connection.start();
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    open.add(socket);
    const received: Uint8Array[] = [];
    const framer = new Framer();
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk, (bytes) => received.push(bytes.slice()));
      for (const wake of waiting.splice(0)) wake();
    });
    socket.on('error', () => {});
    const next = async (): Promise<Uint8Array> => {
      while (received.length === 0) {
        connection.flush();
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          setImmediate(resolve);
        });
      }
      return received.shift()!;
    };
    return { socket, next, messages, closed, say: (message: MessageInit) => socket.write(encode(message)) };
  };

  test('says hello with the highest version and a bitmap of all; answers echoes', async () => {
    const { next, say } = await connect([4]);
    expect(decode(await next())).toMatchObject({
      type: 'hello',
      version: 4,
      elements: [{ type: 'versionbitmap', versions: [4] }],
    });
    say({ type: 'hello' });
    say({ type: 'echo_request', xid: 9, data: Uint8Array.of(1, 2) });
    expect(decode(await next())).toMatchObject({ type: 'echo_reply', xid: 9, data: Uint8Array.of(1, 2) });
    expect(connection.version).toBe(4);
  });

  test('no common version: HELLO_FAILED in a version that the controller knows, and the end', async () => {
    const { socket, next } = await connect([4]);
    await next();
    socket.write(Uint8Array.of(1, 0, 0, 8, 0, 0, 0, 1));
    const bytes = await next();
    expect(messageVersion(bytes)).toBe(1);
    bytes[0] = 4;
    const error = decode(bytes);
    expect(error).toMatchObject({ type: 'error', error_type: 0, code: 0 });
    const text = error.type === 'error' ? new TextDecoder().decode(error.data) : '';
    expect(text).toBe('this device speaks OpenFlow 1.3; the controller offers 1.0');
    socket.resume();
    await once(socket, 'end');
    expect(connection.established).toBe(false);
  });

  test('a message of another version is refused; a hello is not; the connection goes on', async () => {
    const { socket, next, say, messages } = await connect([4]);
    await next();
    say({ type: 'hello' });
    const foreign = Uint8Array.of(5, 5, 0, 8, 0, 0, 0, 7);
    socket.write(Uint8Array.of(5, 0, 0, 8, 0, 0, 0, 6));
    socket.write(foreign);
    expect(decode(await next())).toMatchObject({
      type: 'error',
      xid: 7,
      error_type: 1,
      code: 0,
      data: foreign,
    });
    say({ type: 'features_request', xid: 8 });
    say({ type: 'echo_request' });
    await next();
    expect(messages).toMatchObject([{ type: 'features_request', xid: 8 }]);
    expect(connection.counters.malformed).toBe(1);
  });

  test.each<[string, Uint8Array, number]>([
    ['unknown type', Uint8Array.of(4, 99, 0, 8, 0, 0, 0, 1), 1],
    ['unknown multipart', Uint8Array.of(4, 18, 0, 16, 0, 0, 0, 1, 0, 99, 0, 0, 0, 0, 0, 0), 2],
    ['too short for its type', Uint8Array.of(4, 14, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0), 6],
  ])('%s: BAD_REQUEST with the bytes, and the connection goes on', async (_what, bytes, code) => {
    const { socket, next, say } = await connect([4]);
    await next();
    say({ type: 'hello' });
    socket.write(bytes);
    expect(decode(await next())).toMatchObject({ type: 'error', xid: 1, error_type: 1, code, data: bytes });
    say({ type: 'echo_request' });
    expect(decode(await next())).toMatchObject({ type: 'echo_reply' });
  });

  test('a length that cannot be: the error shows that header, not the message before it; then the end', async () => {
    const { socket, next, say } = await connect([4]);
    await next();
    say({ type: 'hello' });
    const broken = Uint8Array.of(4, 2, 0, 7, 0, 0, 0, 9);
    socket.write(Buffer.concat([encode({ type: 'echo_request', xid: 8 }), broken]));
    expect(decode(await next())).toMatchObject({ type: 'echo_reply', xid: 8 });
    const error = { type: 'error', xid: 9, error_type: 1, code: 6, data: broken };
    expect(decode(await next())).toMatchObject(error);
    socket.resume();
    await once(socket, 'end');
  });

  test('an error is never answered by an error', async () => {
    const { socket, next, say } = await connect([4]);
    await next();
    say({ type: 'hello' });
    socket.write(Uint8Array.of(4, 1, 0, 9, 0, 0, 0, 1, 0));
    say({ type: 'echo_request', xid: 5 });
    expect(decode(await next())).toMatchObject({ type: 'echo_reply', xid: 5 });
    expect(connection.counters.malformed).toBe(1);
  });

  test('a controller that refuses the hello is not answered', async () => {
    const { socket, next, say } = await connect([4]);
    await next();
    say({ type: 'error', error_type: 0, code: 0, data: new TextEncoder().encode('no') });
    const rest: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => rest.push(chunk));
    await once(socket, 'end');
    expect(rest).toEqual([]);
  });

  test('a controller that does not read is left once, and the next one hears nothing of what it missed', async () => {
    const limits = { hardBytes: 1 << 20, retryMs: 1 };
    const { socket, next, say, messages, closed } = await connect([4], limits);
    await next();
    say({ type: 'hello' });
    say({ type: 'features_request' });
    while (messages.length === 0) await new Promise(setImmediate);
    socket.pause();
    const message: MessageInit = { type: 'echo_request', data: new Uint8Array(60_000) };
    const again = once(server, 'connection');
    // More than the sockets' buffers and the limit hold, without a turn of the loop between.
    for (let i = 0; i < 2000 && connection.established; i++) connection.send(message);
    expect(connection.established).toBe(false);
    const [second] = (await again) as [net.Socket];
    open.add(second);
    const [first] = (await once(second, 'data')) as [Buffer];
    expect(messageLength(first)).toBe(first.length);
    expect(decode(first).type).toBe('hello');
    expect(closed).toEqual(['the controller does not read']);
  });

  test('of what a slow controller can do without it gets less, and what cells report never ends the connection', async () => {
    const limits = { softBytes: 1 << 20, hardBytes: 8 << 20 };
    const { socket, next, say, messages } = await connect([4], limits);
    await next();
    say({ type: 'hello' });
    say({ type: 'features_request' });
    while (messages.length === 0) await new Promise(setImmediate);
    socket.pause();
    const message: MessageInit = { type: 'echo_request', data: new Uint8Array(60_000) };
    const count = (report: boolean) =>
      Array.from({ length: 2000 }, () => connection.offer(message, report)).filter(Boolean).length;
    const [spared, reported] = [count(false), count(true)];
    // From one MiB to half of eight.
    expect(Math.abs(reported - (3 << 20) / 60_008)).toBeLessThan(3);
    expect(connection.counters.dropped).toBe(4000 - spared - reported);
    expect(connection.established).toBe(true);
    connection.send({ type: 'barrier_reply' });
    expect(connection.established).toBe(true);
  });

  test('a controller that sends without end is read in turns', async () => {
    const { socket, next, say, messages } = await connect([4]);
    await next();
    say({ type: 'hello' });
    const request: MessageInit = { type: 'features_request' };
    const count = 100_000;
    socket.write(Buffer.concat(Array.from({ length: count }, () => encode(request))));
    while (messages.length < count) await new Promise(setImmediate);
    expect(connection.counters.received).toBe(count + 1);
    expect(connection.counters.yielded).toBeGreaterThan(0);
  });
});
