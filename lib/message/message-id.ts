/**
 * Message-IDs as Postfix makes them: the queue id is unique for a time, with the time for ever.
 */
import { formatStamp } from './date.ts';

/** A long queue id carries its own time behind this many characters, then a `z`. */
const LONG_ID_PREFIX = 10;

/** `<20261121230654.60220232825@mail.example.com>`; a long queue id needs no time. */
export function makeMessageId(queueId: string, ms: number, hostname: string): string {
  const long = queueId.lastIndexOf('z') >= LONG_ID_PREFIX;
  return long ? `<${queueId}@${hostname}>` : `<${formatStamp(ms)}.${queueId}@${hostname}>`;
}
