/** DNS messages as they travel: the only importer of dns-packet. Pure. */
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { RecordType } from './answer.ts';

export interface Query {
  readonly id: number;
  readonly name: string;
  readonly type: RecordType;
}

export interface Response {
  /** NOERROR 0, SERVFAIL 2, NXDOMAIN 3, ... */
  readonly rcode: number;
  readonly truncated: boolean;
  readonly answers: readonly Answer[];
  /** How long, in seconds, the zone allows to remember that there is nothing; if it says so. */
  readonly negativeTtl: number | undefined;
}

const RCODE_BITS = 0x0f;

export function encodeQuery({ id, name, type }: Query): Buffer {
  return encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ type, name }] });
}

/**
 * Reads a reply to `query`.
 *
 * @returns `undefined` when these bytes are no reply, or the reply to another question: they may be
 *   forged or late, and the right one may still come
 */
export function readResponse(bytes: Buffer, query: Query): Response | undefined {
  try {
    const packet = decode(bytes);
    const question = packet.questions?.[0];
    const matches =
      packet.type === 'response' &&
      packet.id === query.id &&
      question?.type === query.type &&
      sameName(question.name, query.name);
    if (!matches) return undefined;
    return {
      rcode: (packet.flags ?? 0) & RCODE_BITS,
      truncated: packet.flag_tc,
      answers: packet.answers ?? [],
      negativeTtl: negativeTtl(packet.authorities ?? []),
    };
  } catch {
    return undefined;
  }
}

function negativeTtl(authorities: readonly Answer[]): number | undefined {
  for (const record of authorities) {
    if (record.type === 'SOA') return Math.min(record.ttl ?? 0, record.data.minimum ?? 0);
  }
  return undefined;
}

/** Names are equal whatever their case, and with or without the final dot. */
export function sameName(one: string, other: string): boolean {
  return one.replace(/\.$/, '').toLowerCase() === other.replace(/\.$/, '').toLowerCase();
}
