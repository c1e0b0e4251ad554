import type { DnsStatus } from '../../lib/dns/answer.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';

/** `again`: it could not be found out now; `forged`: there is a name, but it is somebody else's. */
export type NameStatus = 'found' | 'missing' | 'again' | 'forged';

/** Who a client is, as far as the DNS tells. */
export interface ClientName {
  /** Its verified name: the address leads to the name, and the name back to the address. */
  readonly name: string;
  /** What the address leads to, verified or not. */
  readonly reverseName: string;
  readonly nameStatus: NameStatus;
  readonly reverseStatus: NameStatus;
  /** Why the name could not be verified; for the log. */
  readonly warning?: string;
}

export const UNKNOWN = 'unknown';

/** A value, unless it is `unknown`. */
export function available(value: string | undefined): string | undefined {
  return value === UNKNOWN ? undefined : value;
}

/** As RFC 5321 4.1.3 has it, other servers and milters are told: an IPv6 address says that it is one. */
export function tagged(address: string): string {
  return address.includes(':') ? `IPv6:${address}` : address;
}

/** A client of whom no name is known. */
export const NAMELESS: ClientName = {
  name: UNKNOWN,
  reverseName: UNKNOWN,
  nameStatus: 'missing',
  reverseStatus: 'missing',
};

/** Looks a client's name up. Never throws: who can't be named is `unknown`. */
export async function lookupClientName(address: string, resolver: Resolver): Promise<ClientName> {
  const reverse = await resolver.lookupNativeName(address);
  const name = reverse.status === 'found' ? reverse.records[0] : undefined;
  if (name === undefined) {
    const status = statusOf(reverse.status);
    return { ...NAMELESS, nameStatus: status, reverseStatus: status };
  }
  const forward = await resolver.lookupNative(name, [address.includes(':') ? 6 : 4]);
  const addresses = forward.status === 'found' ? forward.records : [];
  if (addresses.some((record) => record.address === address)) {
    return { name, reverseName: name, nameStatus: 'found', reverseStatus: 'found' };
  }
  const why = {
    'not-found': ': Name or service not known',
    again: ': Temporary failure in name resolution',
  }[forward.status as 'again'];
  return {
    name: UNKNOWN,
    reverseName: name,
    nameStatus: forward.status === 'again' ? 'again' : 'forged',
    reverseStatus: 'found',
    warning: `hostname ${name} does not resolve to address ${address}${why ?? ''}`,
  };
}

function statusOf(status: DnsStatus): NameStatus {
  return status === 'again' ? 'again' : 'missing';
}
