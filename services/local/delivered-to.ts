/** The Delivered-To headers of a message: who comes back to an address it was delivered to, loops. */
import { quote } from '../../lib/address/address.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordReader, type RecordSource, WINDOW_BYTES } from '../../lib/queue/record-reader.ts';

/** Headers longer than this are looked at no further. */
const HEADER_BYTES_MAX = 1024 * 1024;
const NAME = 'delivered-to:';
const LETTER = NAME.charCodeAt(0);
const LOWER_CASE = 0x20;
/** No message is read here while another is. */
const SCRATCH = Buffer.alloc(WINDOW_BYTES);
const NONE: ReadonlySet<string> = new Set();

/**
 * Reads them, quoted and in lower case. What cleanup and qmgr just had in hand needs no waiting.
 *
 * @param from offset of the first content record
 * @throws {QueueFileError} when the file is damaged
 */
export function readDeliveredTo(message: RecordSource, from: number): ReadonlySet<string> {
  const reader = new RecordReader(message, from, { scratch: SCRATCH });
  let found: Set<string> | undefined;
  let size = 0;
  let isLineStart = true;
  while (size < HEADER_BYTES_MAX) {
    if (!reader.next()) throw reader.damaged('missing end record');
    const { type, bytes, start, end } = reader;
    if (type === RECORD.extracted) break;
    if (type === RECORD.padding) continue;
    // An empty line ends the header.
    if (isLineStart && type === RECORD.text && start === end) break;
    // Most lines of most messages need no more than a look at a byte.
    if (isLineStart && ((bytes[start] ?? 0) | LOWER_CASE) === LETTER) {
      const address = deliveredTo(reader.text());
      if (address !== undefined) found = (found ?? new Set()).add(address);
    }
    isLineStart = type === RECORD.text;
    size += end - start;
  }
  return found ?? NONE;
}

/** The address in a line of a header, when it is a Delivered-To. Pure. */
export function deliveredTo(line: string): string | undefined {
  const lower = line.toLowerCase();
  return lower.startsWith(NAME) ? lower.slice(NAME.length).trim() : undefined;
}

/** Whether the message has been delivered to an address before. */
export function isLoop(loops: ReadonlySet<string>, address: string): boolean {
  return loops.size > 0 && loops.has(quote(address).toLowerCase());
}
