/** The Delivered-To headers of a message: who comes back to an address it was delivered to, loops. */
import { quote } from '../../lib/address/address.ts';
import { readContentSync } from '../../lib/queue/content.ts';
import type { QueueFile } from '../../lib/queue/queue-file.ts';

/** Headers longer than this are looked at no further. */
const HEADER_BYTES_MAX = 1024 * 1024;
const NAME = 'delivered-to:';

/** Reads them, quoted and in lower case. What cleanup and qmgr just had in hand needs no waiting. */
export function readDeliveredTo(message: QueueFile, from: number): ReadonlySet<string> {
  let head = '';
  for (const chunk of readContentSync(message, { from })) {
    head += chunk.toString('utf8');
    const end = head.startsWith('\n') ? 0 : head.indexOf('\n\n');
    if (end >= 0) return parseDeliveredTo(head.slice(0, end));
    if (head.length > HEADER_BYTES_MAX) break;
  }
  return parseDeliveredTo(head);
}

/** Parses the header of a message. Pure. */
export function parseDeliveredTo(head: string): ReadonlySet<string> {
  const found = new Set<string>();
  // The search is for a line; most messages have none.
  const lower = `\n${head.toLowerCase()}`;
  for (let at = lower.indexOf(`\n${NAME}`); at >= 0; at = lower.indexOf(`\n${NAME}`, at + 1)) {
    const start = at + 1 + NAME.length;
    const end = lower.indexOf('\n', start);
    found.add((end < 0 ? lower.slice(start) : lower.slice(start, end)).trim());
  }
  return found;
}

/** Whether the message has been delivered to an address before. */
export function isLoop(loops: ReadonlySet<string>, address: string): boolean {
  return loops.size > 0 && loops.has(quote(address).toLowerCase());
}
