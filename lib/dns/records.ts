/** From a name server's response to our answer: CNAMEs followed, records checked. Pure. */
import type { Answer } from 'dns-packet';
import {
  type AddressRecord,
  type DnsAnswer,
  type DnsStatus,
  failureReason,
  type MxRecord,
  type RecordType,
} from './answer.ts';
import { isHostname } from './domain.ts';
import { type Response, sameName } from './wire.ts';

/** What each type's records become. */
export interface RecordOf {
  A: AddressRecord;
  AAAA: AddressRecord;
  MX: MxRecord;
  NS: string;
  TXT: string;
  PTR: string;
}

const NXDOMAIN = 3;
/** SERVFAIL, NOTIMP, REFUSED: this server is of no use now; the C library too says try again. */
const USELESS = [2, 4, 5];
/** What no zone says: remember a missing name this long. */
const NEGATIVE_TTL_SECONDS = 5;
const CNAMES_MAX = 10;
const RECORDS_MAX = 1000;

/** The words of the resolver library. */
const PROBLEMS = {
  'not-found': 'Host not found',
  'no-data': 'Host found but no data record of requested type',
  again: 'Host not found, try again',
  invalid: 'Non-recoverable error',
} as const;

/** An answer without records. */
export function failure<T extends RecordType>(
  name: string,
  type: T,
  status: Exclude<DnsStatus, 'found'>,
  ttl = 0,
  reason: string = failureReason(name, type, PROBLEMS[status]),
): DnsAnswer<RecordOf[T]> {
  return { status, records: [], ttl, name, canonical: name, type, reason };
}

/** Answers the question for `name` and `type` from a response to it. */
export function answerFrom<T extends RecordType>(
  name: string,
  type: T,
  response: Response,
): DnsAnswer<RecordOf[T]> {
  if (USELESS.includes(response.rcode)) return failure(name, type, 'again');
  if (response.rcode === NXDOMAIN) return nothing(name, type, 'not-found', response);
  if (response.rcode !== 0) return failure(name, type, 'invalid');

  let ttl = Number.POSITIVE_INFINITY;
  let canonical = name;
  for (let hops = 0; ; hops += 1) {
    const alias = response.answers.find((r) => r.type === 'CNAME' && sameName(r.name, canonical));
    if (alias?.type !== 'CNAME') break;
    if (hops === CNAMES_MAX) {
      return failure(name, type, 'not-found', 0, `Name server loop for ${name}`);
    }
    ttl = Math.min(ttl, alias.ttl ?? 0);
    canonical = alias.data;
  }

  const records: RecordOf[T][] = [];
  let malformed = false;
  for (const answer of response.answers) {
    if (answer.type !== type || !sameName(answer.name, canonical)) continue;
    const record = readRecord(answer);
    if (record === undefined) malformed = true;
    else if (records.length < RECORDS_MAX) records.push(record as RecordOf[T]);
    ttl = Math.min(ttl, 'ttl' in answer ? (answer.ttl ?? 0) : 0);
  }
  if (records.length > 0) {
    return { status: 'found', records, ttl, name, canonical, type, reason: '' };
  }
  if (malformed) {
    const reason = failureReason(name, type, 'Malformed or unexpected name server reply');
    return failure(name, type, 'invalid', 0, reason);
  }
  return nothing(name, type, 'no-data', response);
}

function nothing<T extends RecordType>(
  name: string,
  type: T,
  status: 'not-found' | 'no-data',
  { negativeTtl }: Response,
): DnsAnswer<RecordOf[T]> {
  if (negativeTtl !== undefined) return failure(name, type, status, negativeTtl);
  return { ...failure(name, type, status, NEGATIVE_TTL_SECONDS), isTtlGuessed: true };
}

/** `undefined`: a record nobody should use. */
function readRecord(answer: Answer): RecordOf[RecordType] | undefined {
  switch (answer.type) {
    case 'A':
      return { family: 4, address: answer.data };
    case 'AAAA':
      return { family: 6, address: answer.data };
    case 'MX': {
      const exchange = answer.data.exchange.replace(/\.$/, '');
      if (exchange !== '' && !isHostname(exchange)) return undefined;
      return { preference: answer.data.preference ?? 0, exchange };
    }
    case 'NS':
    case 'PTR':
      return isHostname(answer.data) ? answer.data.replace(/\.$/, '') : undefined;
    case 'TXT':
      return joined(answer.data);
    default:
      return undefined;
  }
}

function joined(data: string | Buffer | (string | Buffer)[]): string {
  const parts = Array.isArray(data) ? data : [data];
  return parts.map((part) => (typeof part === 'string' ? part : part.toString('utf8'))).join('');
}
