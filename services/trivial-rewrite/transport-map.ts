/** transport(5) entries: `transport:nexthop`, either of which may be missing. */

/** A delivery agent and where it is to go. */
export interface Route {
  readonly transport: string;
  readonly nexthop: string;
}

/** Splits at the first colon: `smtp:[host]:25`. */
export function splitRoute(text: string): Route {
  const colon = text.indexOf(':');
  if (colon < 0) return { transport: text, nexthop: '' };
  return { transport: text.slice(0, colon), nexthop: text.slice(colon + 1) };
}

/** Transports whose nexthop is a text for the sender, not a place. */
const SAYING: ReadonlySet<string> = new Set(['error', 'retry']);

/**
 * What a table entry makes of the route so far. Without a transport it can only change the nexthop;
 * a transport without a nexthop goes to the recipient's domain.
 */
export function applyEntry(entry: string, route: Route, domain: string): Route {
  const { transport, nexthop } = splitRoute(entry);
  if (transport === '') return nexthop === '' ? route : { ...route, nexthop };
  if (nexthop !== '') return { transport, nexthop };
  return { transport, nexthop: SAYING.has(transport) ? 'Address is undeliverable' : domain };
}
