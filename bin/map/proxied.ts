/** What the commands do with `proxy:` tables: proxywrite takes keys out, as mail_owner. */
import type { TableContext } from '../../lib/table/definition.ts';
import { ProxyClient } from '../../lib/table/proxy-table.ts';

const PROXY = 'proxy:';

export function isProxied(name: string): boolean {
  return name.startsWith(PROXY);
}

/** Such a table can't be made, nor be added to: Postfix's words. */
export function whyNotMade(incremental: boolean): string {
  return incremental
    ? 'unsupported dictionary type: proxy does not support bulk-mode creation.'
    : "can't create maps via the proxy service";
}

/** `-d`. @returns whether any of the keys was there */
export async function removeProxied(
  name: string,
  keys: readonly string[],
  context: TableContext,
): Promise<boolean> {
  const client = new ProxyClient(name.slice(PROXY.length), 'proxywrite', context);
  try {
    let any = false;
    for (const key of keys) any = (await client.remove(key)) || any;
    return any;
  } finally {
    client.close();
  }
}
