/**
 * An address as logs write it (info_log_address_format = external). This library knows no mail, so
 * it has its own few lines of RFC 5322 quoting.
 */
const NEEDS_NO_QUOTES = /^[^\x00-\x20\x7f"(),:;<>@[\\\].]+(?:\.[^\x00-\x20\x7f"(),:;<>@[\\\].]+)*$/;
const SPECIAL = /["\\]/g;

/** Quotes the local part of an internal address where RFC 5322 wants it: `"a b"@example.com`. */
export function externalForm(address: string): string {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  if (local === '' || NEEDS_NO_QUOTES.test(local)) return address;
  const domain = at < 0 ? '' : address.slice(at);
  return `"${local.replace(SPECIAL, '\\$&')}"${domain}`;
}
