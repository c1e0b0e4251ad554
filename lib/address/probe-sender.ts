/**
 * The sender of address probes. With address_verify_sender_ttl its local part has the time in it, so
 * that nobody can refuse, or harvest, what we ask from it for ever. ADDRESS_VERIFICATION_README. Pure.
 */

/** Digits that spell no word, as those of long queue ids. */
const DIGITS = '0123456789BCDFGHJKLMNPQRSTVWXYZ';
const NUMBER = /^[0-9BCDFGHJKLMNPQRSTVWXYZ]{1,12}$/;

/** `address_verify_sender`, and for how long one of its forms is used; 0: there is one for ever. */
export interface ProbeSender {
  readonly sender: string;
  readonly ttlSeconds: number;
}

/** The sender to probe with now; without a domain when the parameter has none. */
export function probeSenderAt({ sender, ttlSeconds }: ProbeSender, seconds: number): string {
  if (sender === '' || sender === '<>') return '';
  if (ttlSeconds === 0) return sender;
  const { local, domain } = split(sender);
  return local + formatNumber(Math.floor(seconds / ttlSeconds)) + domain;
}

/** Whether an address is one that we probe with now, did a while ago, or soon will. */
export function isProbeSender(
  address: string,
  { sender, ttlSeconds }: ProbeSender,
  seconds: number,
): boolean {
  if (sender === '' || sender === '<>') return false;
  const wanted = split(sender.toLowerCase());
  const given = split(address.toLowerCase());
  // Rewriting has given it a domain, if it had none.
  if (wanted.domain !== '' && given.domain !== wanted.domain) return false;
  if (ttlSeconds === 0) return given.local === wanted.local;
  if (!given.local.startsWith(wanted.local)) return false;
  const age =
    Math.floor(seconds / ttlSeconds) - parseNumber(given.local.slice(wanted.local.length));
  return Math.abs(age) <= 1;
}

function split(address: string): { local: string; domain: string } {
  const at = address.lastIndexOf('@');
  return at < 0
    ? { local: address, domain: '' }
    : { local: address.slice(0, at), domain: address.slice(at) };
}

function formatNumber(value: number): string {
  let text = '';
  for (let rest = value; rest > 0 || text === ''; rest = Math.floor(rest / DIGITS.length)) {
    text = DIGITS.charAt(rest % DIGITS.length) + text;
  }
  return text;
}

function parseNumber(text: string): number {
  const upper = text.toUpperCase();
  if (!NUMBER.test(upper)) return Number.NaN;
  return [...upper].reduce((sum, digit) => sum * DIGITS.length + DIGITS.indexOf(digit), 0);
}
