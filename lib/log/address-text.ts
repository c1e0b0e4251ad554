/**
 * An address as logs write it, by info_log_address_format. This library knows no mail, so it has its
 * own few lines of RFC 5322 quoting.
 */

/** From the internal form of an address to that of the log. */
export type AddressText = (address: string) => string;

/** How info_log_address_format has it: `external` or `internal`. */
export function addressTextBy(format: string): AddressText {
  return format.toLowerCase() === 'internal' ? (address) => address : externalForm;
}

const NEEDS_NO_QUOTES = /^[^\x00-\x20\x7f"(),:;<>@[\\\].]+(?:\.[^\x00-\x20\x7f"(),:;<>@[\\\].]+)*$/;
const SPECIAL = /["\\]/g;

/**
 * Quotes the local part of an internal address where RFC 5322 wants it: `"a b"@example.com`,
 * `""@example.com`. A source route (`@a,@b:`) is left alone, and so is nobody at all.
 */
export function externalForm(address: string): string {
  const start = address.startsWith('@') ? address.indexOf(':') + 1 : 0;
  const at = address.lastIndexOf('@');
  const end = at < start ? address.length : at;
  const local = address.slice(start, end);
  if (address === '' || NEEDS_NO_QUOTES.test(local)) return address;
  return `${address.slice(0, start)}"${local.replace(SPECIAL, '\\$&')}"${address.slice(end)}`;
}
