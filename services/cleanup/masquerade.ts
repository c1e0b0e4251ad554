/**
 * masquerade_domains: what happens behind a gateway looks as if it came from the gateway's domain.
 * Pure.
 */
import { splitList } from '../../lib/config/list.ts';

export interface Masquerade {
  /** Domains in their order; with `!` in front they keep their subdomains. */
  readonly domains: readonly { readonly domain: string; readonly hide: boolean }[];
  /** masquerade_exceptions: local parts that are left alone, in lower case. */
  readonly exceptions: ReadonlySet<string>;
}

/** @returns undefined when masquerade_domains is empty */
export function parseMasquerade(domains: string, exceptions: string): Masquerade | undefined {
  const list = splitList(domains);
  if (list.length === 0) return undefined;
  return {
    domains: list.map((word) => {
      const domain = word.replace(/^!+/, '').toLowerCase();
      return { domain, hide: (word.length - domain.length) % 2 === 0 };
    }),
    exceptions: new Set(splitList(exceptions).map((name) => name.toLowerCase())),
  };
}

/** An address as others shall see it; internal or external form. */
export function masquerade(address: string, rules: Masquerade): string {
  const at = address.lastIndexOf('@');
  if (at < 0 || rules.exceptions.has(address.slice(0, at).toLowerCase())) return address;
  const domain = address.slice(at + 1).toLowerCase();
  for (const rule of rules.domains) {
    if (rule.domain === '') continue;
    if (domain === rule.domain) return address;
    if (!domain.endsWith(`.${rule.domain}`)) continue;
    return rule.hide ? address.slice(0, at + 1) + rule.domain : address;
  }
  return address;
}
