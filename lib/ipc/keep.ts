import type { Attribute } from './attributes.ts';
import { formatAttributes } from './attributes.ts';

/**
 * How our processes go on using a connection where Postfix opens a new one, without a real one
 * noticing. After the last reply to a request our servers append this list, in the same write,
 * and wait for another request. A real client has its answer and closes without reading it; ours
 * finds it right behind the reply and keeps the connection. From a real server it never comes, and
 * then our client closes.
 *
 * A kept connection begins directly with the client's next request: there is no second
 * announcement (except cleanup's, which tells the queue id and answers the client's `flags`). The
 * client closes a connection that is idle for `ipc_idle`. When a kept connection turns out to be
 * closed before the first byte of a reply, the client sends the request again on a new one.
 */
export const KEEP: Buffer = formatAttributes([['reuse', 'yes']]);

/** A reply after which the connection is kept: one write, so that the client finds both. */
export function keepingReply(list: readonly Attribute[]): Buffer {
  return Buffer.concat([formatAttributes(list), KEEP]);
}
