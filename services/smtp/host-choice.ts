/** Which hosts are tried, in which order. Pure: DNS answers in, hosts out. */
import type { Family } from '../../lib/config/networks.ts';

export interface Host {
  readonly name: string;
  readonly address: string;
  readonly family: Family;
  /** MX preference; low is good. */
  readonly preference: number;
}

export interface OrderRules {
  readonly randomize: boolean;
  /** `any`, `ipv4`, `ipv6`: which goes first among equal preferences. */
  readonly addressPreference: string;
  readonly balance: boolean;
  /** Addresses that will be tried at most; 0: all. */
  readonly limit: number;
  /** From 0 up to 1. */
  random(): number;
}

/** By preference; equals shuffled, so that they share the load, and by protocol if so wished. */
export function orderHosts(hosts: readonly Host[], rules: OrderRules): readonly Host[] {
  const shuffled = rules.randomize ? shuffle(hosts, rules.random) : [...hosts];
  const rank = ({ family }: Host) => {
    if (rules.addressPreference === 'ipv6') return family === 6 ? 0 : 1;
    if (rules.addressPreference === 'ipv4') return family === 4 ? 0 : 1;
    return 0;
  };
  const sorted = shuffled.sort((a, b) => a.preference - b.preference || rank(a) - rank(b));
  return rules.balance ? balance(sorted, rules.limit) : sorted;
}

function shuffle(hosts: readonly Host[], random: () => number): Host[] {
  const shuffled = [...hosts];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const held = shuffled[last] as Host;
    shuffled[last] = shuffled[other] as Host;
    shuffled[other] = held;
  }
  return shuffled;
}

/** Should one protocol not work here at all, the other must still be among those tried. */
function balance(hosts: readonly Host[], limit: number): readonly Host[] {
  if (limit <= 1 || hosts.length <= limit) return hosts;
  const count = { 4: 0, 6: 0 };
  for (const { family } of hosts) count[family] += 1;
  const half = Math.floor(limit / 2);
  const room: Record<Family, number> = {
    4: Math.max(half, limit - count[6]),
    6: Math.max(half, limit - count[4]),
  };
  return hosts.filter(({ family }) => {
    room[family] -= 1;
    return room[family] >= 0;
  });
}

export interface OwnPlace {
  /** Hosts that are better than ourselves. */
  readonly hosts: readonly Host[];
  /** We are one of the hosts. */
  readonly isSelf: boolean;
}

/**
 * When we are a mail exchanger ourselves, only better ones may get the mail: passing it to equals
 * or worse would make it come back.
 */
export function cutAtSelf(hosts: readonly Host[], isOwn: (address: string) => boolean): OwnPlace {
  const own = hosts.filter(({ address }) => isOwn(address));
  if (own.length === 0) return { hosts, isSelf: false };
  const best = Math.min(...own.map(({ preference }) => preference));
  return { hosts: hosts.filter(({ preference }) => preference < best), isSelf: true };
}
