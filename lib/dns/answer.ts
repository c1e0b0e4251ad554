/** What the DNS says, in the words of the resolver library that logs and bounces show. */

/**
 * `found`: there are records. `not-found`: no such name. `no-data`: the name has no such records.
 * `again`: no usable answer for now. `invalid`: refused, or a reply that makes no sense.
 */
export type DnsStatus = 'found' | 'not-found' | 'no-data' | 'again' | 'invalid';

export type RecordType = 'A' | 'AAAA' | 'MX' | 'NS' | 'TXT' | 'PTR';

export interface DnsAnswer<R> {
  readonly status: DnsStatus;
  /** Empty unless `found`. */
  readonly records: readonly R[];
  /** Seconds that this may be remembered. */
  readonly ttl: number;
  /** Nobody said how long. */
  readonly isTtlGuessed?: boolean;
  /** The name that was asked, and the one that has the records (after CNAMEs). */
  readonly name: string;
  readonly canonical: string;
  readonly type: RecordType;
  /** Postfix's sentence about a failure; '' when found. */
  readonly reason: string;
}

export interface MxRecord {
  readonly preference: number;
  /** The mail exchanger; '' is a null MX, RFC 7505: the domain takes no mail. */
  readonly exchange: string;
}

export interface AddressRecord {
  readonly family: 4 | 6;
  readonly address: string;
}

/** One lookup's failure, put as Postfix's client puts it. */
export function failureReason(name: string, type: string, problem: string): string {
  return `Host or domain name not found. Name service error for name=${name} type=${type}: ${problem}`;
}

/** Why the system's own lookup failed, in the words of getaddrinfo. */
export function nativeReason(status: DnsStatus): string {
  return NATIVE_REASONS[status];
}

const NATIVE_REASONS: Readonly<Record<DnsStatus, string>> = {
  found: '',
  'not-found': 'Name or service not known',
  'no-data': 'No address associated with hostname',
  again: 'Temporary failure in name resolution',
  invalid: 'Non-recoverable failure in name resolution',
};

/** RFC 7505: one MX record that names nobody. */
export function isNullMx(records: readonly MxRecord[]): boolean {
  return records.length === 1 && records[0]?.exchange === '';
}
