import { domainToASCII } from 'node:url';

const NON_ASCII = /[^\x00-\x7f]/;
const NUMERIC_LABEL = /^(\d+|0x[0-9a-f]*)$/i;
const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const NAME_MAX = 255;

/**
 * A domain as the DNS knows it: U-labels become A-labels, all else stays as it is.
 *
 * @returns `undefined` when there is no such form
 */
export function toAsciiDomain(domain: string): string | undefined {
  if (!NON_ASCII.test(domain)) return domain;
  // The converter is a URL host parser: it would turn `1.2.3` into an address.
  const last = domain.replace(/\.$/, '').split('.').at(-1) ?? '';
  if (NUMERIC_LABEL.test(last) || /[[\]:/?#@%\\\s]/.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  return ascii === '' ? undefined : ascii;
}

/** Whether `name` can be a host's: letters, digits, `-` and `_`; not an address. */
export function isHostname(name: string): boolean {
  if (name.length === 0 || name.length > NAME_MAX) return false;
  const labels = name.split('.');
  if (labels.at(-1) === '' && labels.length > 1) labels.pop();
  return labels.every((label) => LABEL.test(label)) && !labels.every((l) => /^\d+$/.test(l));
}
