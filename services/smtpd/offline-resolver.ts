/**
 * What can be known of the DNS without asking it: /etc/hosts, and what the asker says of the client.
 * For `postfix explain`, which sends nothing.
 */
import { isIPv4 } from 'node:net';
import type { AddressRecord, DnsAnswer, RecordType } from '../../lib/dns/answer.ts';
import { openResolver, type Resolver } from '../../lib/dns/resolver.ts';

/** Somebody would have to be asked: `the DNS for the MX records of example.com`. */
export class Unasked extends Error {}

/** What the asker says of a client. */
export interface KnownClient {
  readonly address: string;
  /** Verified: its address leads to the name, and the name back to the address. */
  readonly name: string | undefined;
}

/**
 * Answers what is known, and throws `Unasked` for the rest.
 *
 * @param live asks the DNS for the rest
 */
export function offlineResolver(client: KnownClient, live?: Resolver): Resolver {
  // Without attempts it knows /etc/hosts and address literals alone.
  const known = live ?? openResolver({ attempts: 0 });
  const rest = async <T>(what: string, answer: Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> => {
    const found = await answer;
    if (live === undefined && found.status === 'again') throw new Unasked(`the DNS for ${what}`);
    return found;
  };
  const isClient = (name: string) => name.toLowerCase() === client.name?.toLowerCase();
  return {
    lookupMx: (name) => rest(`the MX records of ${name}`, known.lookupMx(name)),
    lookupNs: (name) => rest(`the NS records of ${name}`, known.lookupNs(name)),
    lookupTxt: (name) => rest(`the TXT records of ${name}`, known.lookupTxt(name)),
    lookupPtr: (address) => rest(`the name of ${address}`, known.lookupPtr(address)),
    lookupAddresses: (name, families) =>
      rest(`the addresses of ${name}`, known.lookupAddresses(name, families)),
    async lookupNative(name, families) {
      if (isClient(name)) return answerOf(name, 'A', [addressRecord(client.address)]);
      return rest(`the addresses of ${name}`, known.lookupNative(name, families));
    },
    async lookupNativeName(address) {
      if (address !== client.address) {
        return rest(`the name of ${address}`, known.lookupNativeName(address));
      }
      if (client.name === 'unknown') return answerOf<string>(address, 'PTR', []);
      if (client.name !== undefined) return answerOf(address, 'PTR', [client.name]);
      const found = await known.lookupNativeName(address);
      // The session goes on; what depends on the name is told apart (what-if.ts).
      return live === undefined && found.status === 'again' ? answerOf(address, 'PTR', []) : found;
    },
  };
}

function addressRecord(address: string): AddressRecord {
  return { family: isIPv4(address) ? 4 : 6, address };
}

function answerOf<T>(name: string, type: RecordType, records: readonly T[]): DnsAnswer<T> {
  const status = records.length > 0 ? 'found' : 'not-found';
  return { status, records, ttl: 0, name, canonical: name, type, reason: '' };
}
