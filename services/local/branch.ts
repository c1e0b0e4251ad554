/**
 * A branch: one address on the way from a recipient, through aliases and .forward files, to where
 * the mail ends up. Branches are never changed, only derived from. Pure.
 */
import { splitAddress, splitExtension } from '../../lib/address/address.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import type { User } from '../../lib/os/identity.ts';

/** What kind of list named an address: it decides whether commands and files are allowed. */
export type Expansion = 'alias' | 'forward' | 'include';

/** What follows the user's name in `user+extension`. */
export interface Suffix {
  readonly delimiter: string;
  readonly extension: string;
}

export interface Branch {
  /** With the address that the branch has come to. */
  readonly recipient: Recipient;
  /** The envelope sender: that of the message, or of the list. */
  readonly sender: string;
  /** The address that Delivered-To tells. */
  readonly delivered: string;
  /** How many lists deep. */
  readonly level: number;
  /** The address's parts, in lower case. */
  readonly local: string;
  readonly user: string;
  readonly domain: string;
  readonly suffix?: Suffix;
  /** The local part whose extension had a slash in it, and was taken away. */
  readonly illegalExtension?: string;
  /** The suffix that no table knew: the addresses of a list inherit it where that is allowed. */
  readonly unmatched?: Suffix;
  /** Who maintains the list that named this address: an owner- alias, or the user of a .forward. */
  readonly owner?: string;
  /** The alias, or user, whose list named this address: it is not expanded again. */
  readonly expandedFrom?: string;
  readonly expansion?: Expansion;
  /** Whose rights commands and files are delivered with; nobody's: default_privs. */
  readonly rights?: User;
}

/** How local parts are split. */
export interface Splitting {
  readonly recipient_delimiter: string;
  readonly owner_request_special: boolean;
}

/** Starts with a recipient of the request. */
export function firstBranch(recipient: Recipient, sender: string, splitting: Splitting): Branch {
  const delivered = recipient.address;
  return { recipient, sender, delivered, level: 0, ...partsOf(recipient.address, splitting) };
}

/** Goes on with an address that the branch's list names. */
export function nextBranch(from: Branch, address: string, splitting: Splitting): Branch {
  const { suffix: _, unmatched: __, illegalExtension: ___, ...kept } = from;
  const recipient = { ...from.recipient, address };
  return { ...kept, recipient, level: from.level + 1, ...partsOf(address, splitting) };
}

function partsOf(address: string, splitting: Splitting) {
  const { local, domain } = splitAddress(address.toLowerCase());
  const { recipient_delimiter: delimiters, owner_request_special: special } = splitting;
  const split = splitExtension(local, delimiters, special);
  if (split === undefined) return { local, domain, user: local };
  const { base: user, delimiter, extension } = split;
  // It becomes part of file names.
  if (extension.includes('/')) return { local: user, domain, user, illegalExtension: local };
  return { local, domain, user, suffix: { delimiter, extension } };
}

/** Adds the suffix that no table knew to an address of the list. */
export function withUnmatched(address: string, unmatched: Suffix | undefined): string {
  if (unmatched === undefined) return address;
  const at = address.lastIndexOf('@');
  const suffix = unmatched.delimiter + unmatched.extension;
  if (at < 0) return address + suffix;
  return address.slice(0, at) + suffix + address.slice(at);
}

/** The values of `$user` and so on, for a delivery to `user`. */
export function branchMacros(
  branch: Branch,
  user: User | undefined,
  delimiters: string,
): (name: string) => string | undefined {
  const values = new Map<string, string | undefined>([
    ['user', branch.user],
    ['home', user?.home],
    ['shell', user?.shell],
    ['domain', branch.domain || undefined],
    ['local', branch.local],
    ['mailbox', branch.local],
    ['recipient', branch.recipient.address],
    ['extension', branch.suffix?.extension],
    ['recipient_delimiter', branch.suffix?.delimiter ?? (delimiters.charAt(0) || undefined)],
  ]);
  return (name) => values.get(name);
}
