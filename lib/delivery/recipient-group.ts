import { type Attribute, longValue } from '../ipc/attributes.ts';
import { int, long, str } from '../ipc/fields.ts';
import type { Recipient } from './recipient.ts';

/** The recipient group of several protocols. ipc.md 2.6. */
export const RECIPIENT_FIELDS = {
  original: str.named('original_recipient'),
  address: str.named('recipient'),
  offset: long,
  dsnOriginal: str.named('dsn_orig_rcpt'),
  notify: int.named('notify_flags'),
};

/** The recipient group, in the order of the wire. */
export function recipientAttributes(recipient: Recipient): Attribute[] {
  return [
    ['original_recipient', recipient.original],
    ['recipient', recipient.address],
    ['offset', longValue(recipient.offset)],
    ['dsn_orig_rcpt', recipient.dsnOriginal],
    ['notify_flags', recipient.notify],
  ];
}
