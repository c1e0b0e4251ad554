/** The first words of a TLS client: those of somebody who says nothing more. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';

export async function makeClientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port });
  client.on('error', () => {});
  const [peer] = await accepted;
  const [hello] = (await once(peer, 'data')) as [Buffer];
  peer.destroy();
  server.close();
  return hello;
}
