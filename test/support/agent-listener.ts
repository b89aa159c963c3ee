/** Opens a listening socket in the network namespace it runs in and hands it to its parent. */
import net from 'node:net';

const server = net.createServer({ pauseOnConnect: true });
server.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 0), exclusive: true }, () => {
  const { port } = server.address() as net.AddressInfo;
  process.send?.({ port }, server, {}, () => process.disconnect?.());
  server.close();
});
