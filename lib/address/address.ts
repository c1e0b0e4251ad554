/**
 * Addresses in their two forms. *Internal* is how the queue keeps them: `odd user@example.com`.
 * *External* is how RFC 5321 and 5322 write them: `"odd user"@example.com`. Pure.
 */

/** The two sides of the last `@`; both are '' when they are not there. */
export interface AddressParts {
  readonly local: string;
  readonly domain: string;
}

/** Splits an internal address at its last `@`. */
export function splitAddress(internal: string): AddressParts {
  const at = internal.lastIndexOf('@');
  if (at < 0) return { local: internal, domain: '' };
  return { local: internal.slice(0, at), domain: internal.slice(at + 1) };
}

/** Characters that a local part may only have inside quotes: RFC 5322 specials without the dot. */
const SPECIALS = new Set('()<>[]:;@\\,"');

/** A local part that may stand without quotes: atoms between single dots. */
function isDotString(text: string): boolean {
  if (text === '' || text.startsWith('.') || text.endsWith('.')) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f) return false;
    if (code < 0x80 && SPECIALS.has(text.charAt(at))) return false;
    if (code === 0x2e && text.charCodeAt(at + 1) === 0x2e) return false;
  }
  return true;
}

/** Most addresses are made of nothing else; they need no second look. */
const PLAIN = /^[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*(?:@[^@]*)?$/;

/** Internal to external form. The null address stays empty; a route (`@a,@b:`) is left alone. */
export function quote(internal: string): string {
  if (internal === '' || PLAIN.test(internal)) return internal;
  const start = routeLength(internal);
  const at = internal.lastIndexOf('@');
  const end = at < start ? internal.length : at;
  const local = internal.slice(start, end);
  return internal.slice(0, start) + quoteLocal(local) + internal.slice(end);
}

/** Puts a local part in quotes when it needs them. */
export function quoteLocal(local: string): string {
  return isDotString(local) ? local : `"${local.replace(/["\\\r]/g, '\\$&')}"`;
}

/** External to internal form: quotes and backslashes of the local part go. */
export function unquote(external: string): string {
  if (!external.includes('"') && !external.includes('\\')) return external;
  const start = routeLength(external);
  let result = external.slice(0, start);
  let inQuotes = false;
  for (let at = start; at < external.length; at += 1) {
    const character = external.charAt(at);
    if (character === '"') {
      inQuotes = !inQuotes;
    } else if (character === '\\') {
      at += 1;
      result += external.charAt(at);
    } else if (character === '@' && !inQuotes && isDomain(external, at + 1)) {
      return result + external.slice(at);
    } else {
      result += character;
    }
  }
  return result;
}

/** From here on only the domain follows: no quotes, no further `@`. */
function isDomain(text: string, start: number): boolean {
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22 || code === 0x40) return false;
  }
  return true;
}

function routeLength(text: string): number {
  return text.startsWith('@') ? text.indexOf(':') + 1 : 0;
}

/** Local parts that are never split: Postfix's own, and lists' owner- and -request addresses. */
const NEVER_SPLIT = new Set(['mailer-daemon', 'postmaster', 'double-bounce']);

/** A local part without its extension, and the extension without its delimiter. */
export interface Extension {
  readonly base: string;
  readonly delimiter: string;
  readonly extension: string;
}

/**
 * Splits `user+ext`. `delimiters` is recipient_delimiter: each of its characters is one.
 * The first that occurs wins; it may end the local part, but not begin it. Postfix: split_addr(3).
 *
 * @param ownerRequestSpecial owner_request_special: `owner-x` and `x-request` stay whole at `-`
 */
export function splitExtension(
  local: string,
  delimiters: string,
  ownerRequestSpecial = true,
): Extension | undefined {
  if (delimiters === '') return undefined;
  const lower = local.toLowerCase();
  if (NEVER_SPLIT.has(lower)) return undefined;
  if (ownerRequestSpecial && delimiters.includes('-')) {
    if (lower.startsWith('owner-') || lower.endsWith('-request')) return undefined;
  }
  for (let at = 0; at < local.length; at += 1) {
    if (!delimiters.includes(local.charAt(at))) continue;
    if (at === 0) return undefined;
    return {
      base: local.slice(0, at),
      delimiter: local.charAt(at),
      extension: local.slice(at + 1),
    };
  }
  return undefined;
}
