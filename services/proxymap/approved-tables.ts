/** Which tables the service may open: those that main.cf uses through `proxy:`. */
import { splitItems } from '../../lib/table/braces.ts';

const PROXY = 'proxy:';

/** The tables that proxy_read_maps or proxy_write_maps names: `type:name`, without `proxy:`. */
export function parseApproved(text: string): ReadonlySet<string> {
  const approved = new Set<string>();
  collect(text, approved);
  return approved;
}

function collect(text: string, approved: Set<string>): void {
  for (const item of splitItems(text)) {
    const members = /^(?:pipemap|unionmap):\{([\s\S]*)\}$/.exec(item)?.[1];
    if (members !== undefined) collect(members, approved);
    if (!item.startsWith(PROXY)) continue;
    const name = withoutProxy(item);
    if (name.includes(':')) approved.add(name);
  }
}

/** The table itself, however often it is said that a proxy is to open it. */
export function withoutProxy(text: string): string {
  let name = text;
  while (name.startsWith(PROXY)) name = name.slice(PROXY.length);
  return name;
}
