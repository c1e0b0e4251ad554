/**
 * Ports for servers that are started later, or never. Nobody takes one in the meantime: they lie
 * below those that Linux gives to clients, and the process that was given one has its number until
 * it ends.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ListenOptions, type Server } from 'node:net';

const LOWEST = 10_000;
/** /proc/sys/net/ipv4/ip_local_port_range begins here. */
const CLIENTS_FROM = 32_768;

/** A port that nobody listens on, and that no other test is given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, CLIENTS_FROM);
    // The name of no file: the kernel forgets it with the process.
    const claim = await listening({ path: `\0posthaste-test-port-${port}` });
    if (claim === undefined) continue;
    claim.unref();
    const probe = await listening({ port, host: '0.0.0.0' });
    if (probe === undefined) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}

async function listening(where: ListenOptions): Promise<Server | undefined> {
  const server = createServer();
  server.listen(where);
  return once(server, 'listening').then(
    () => server,
    () => undefined,
  );
}
