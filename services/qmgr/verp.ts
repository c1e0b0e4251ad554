import { splitAddress } from '../../lib/address/address.ts';

/**
 * The sender of a message to one recipient, with the recipient in it: a bounce then tells whom it
 * is about. `list@a.test` to `bob@b.test` with `+=` is `list+bob=b.test@a.test`.
 */
export function verpSender(delimiters: string, sender: string, recipient: string): string {
  const from = splitAddress(sender);
  const to = splitAddress(recipient);
  const target = to.domain === '' ? to.local : to.local + delimiters.charAt(1) + to.domain;
  const local = from.local + delimiters.charAt(0) + target;
  return from.domain === '' ? local : `${local}@${from.domain}`;
}

/** What verp_delimiter_filter lets through: two characters. */
export function areDelimiters(text: string, filter: string): boolean {
  return text.length === 2 && filter.includes(text.charAt(0)) && filter.includes(text.charAt(1));
}
