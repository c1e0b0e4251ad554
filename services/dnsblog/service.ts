/**
 * dnsblog(8): asks one DNS list about one client, and logs what it says.
 *
 * Called by postscreen, once for each list; one request a connection. Calls the DNS; touches no
 * file. Postfix: dnsblog(8).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { sleep } from '../../lib/clock/clock.ts';
import { splitList } from '../../lib/config/configuration.ts';
import { openResolver, type Resolver } from '../../lib/dns/resolver.ts';
import { reversedClient } from '../../lib/dns/reverse-name.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { int, str } from '../../lib/ipc/fields.ts';
import type { Log } from '../../lib/log/log.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';

const REQUEST = {
  domain: str.named('rbl_domain'),
  clientAddress: str.named('client_address'),
  label: int,
};
/** Nobody said how long the answer may be remembered. */
const NO_TTL = -1;

interface Listing {
  readonly addresses: string;
  readonly ttl: number;
}

const NOT_LISTED: Listing = { addresses: '', ttl: NO_TTL };

export const dnsblog: ConnectionService<'dns_nameservers' | 'dnsblog_reply_delay', Resolver> = {
  name: 'dnsblog',
  parameters: ['dns_nameservers', 'dnsblog_reply_delay'],
  requires: 'unlimited',
  useLimit: false,
  open: ({ parameters }) => openResolver({ nameservers: splitList(parameters.dns_nameservers) }),
  async serve(socket, { configuration, log, parameters }, resolver) {
    const connection = new IpcConnection(socket, configuration.get('ipc_timeout') * 1000, {
      peer: 'dnsblog socket',
    });
    const asked = await connection.receive(REQUEST, { more: true });
    if (asked === undefined) return;
    const { domain, clientAddress, label } = asked;
    const { addresses, ttl } = await lookUp(domain, clientAddress, resolver, log);
    if (parameters.dnsblog_reply_delay > 0) await sleep(parameters.dnsblog_reply_delay * 1000);
    await connection.send([
      ['rbl_domain', domain],
      ['client_address', clientAddress],
      ['label', label],
      ['rbl_addr', addresses],
      ['ttl', ttl],
    ]);
  },
};

async function lookUp(
  domain: string,
  client: string,
  resolver: Resolver,
  log: Log,
): Promise<Listing> {
  if (!isIPv4(client) && !isIPv6(client)) {
    log.warn(`dnsblog_query: unable to convert address ${client}`);
    return NOT_LISTED;
  }
  const query = `${reversedClient(client)}.${domain}`;
  const { status, records, ttl, isTtlGuessed, reason } = await resolver.lookupAddresses(query, [4]);
  if (status === 'again' || status === 'invalid') {
    log.warn(`dnsblog_query: lookup error for DNS query ${query}: ${reason}`);
    return NOT_LISTED;
  }
  for (const { address } of records) {
    log.info(`addr ${client} listed by domain ${domain} as ${address}`);
  }
  return {
    addresses: records.map(({ address }) => address).join(' '),
    ttl: isTtlGuessed ? NO_TTL : ttl,
  };
}
