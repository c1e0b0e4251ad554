/** Addresses that tables turn into one another without end. */

import { toLogText } from '../../lib/message/byte-string.ts';
import type { FoundAddress } from '../../lib/table/address-search.ts';
import { describeLoop } from '../../lib/table/loop.ts';

/** An address that was looked up, and the entry that turned it into the next. */
export interface MapStep {
  readonly address: string;
  readonly found: FoundAddress;
}

/**
 * `a@x -> b@x -> a@x; see hash:/etc/postfix/virtual, line 3`: the circle and the entry that closes it,
 * or the whole way when it never came back to an address.
 */
export function describeNesting(way: readonly MapStep[], end: string): string {
  const met = way.findLastIndex(({ address }) => address.toLowerCase() === end.toLowerCase());
  const steps = way.slice(Math.max(0, met)).map(({ address, found: { table, key } }) => ({
    name: toLogText(address),
    table,
    key,
  }));
  return describeLoop(steps, toLogText(end));
}
