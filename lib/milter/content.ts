/** Shows the content of a message to a milter, and lets it change it. */
import type { MilterEdits } from './edits.ts';
import type { MacroSource } from './macros.ts';
import type { Milter } from './milter.ts';
import { terminated } from './packet.ts';
import type { Verdict } from './verdict.ts';

/** Where a message's parts come from, anew for each milter. Text is byte strings. */
export interface MilterContent {
  /** A header's name, and what follows the colon, its lines joined by line feeds. */
  headers(): AsyncIterable<{ readonly name: string; readonly text: string }>;
  /** What comes behind the headers, lines ended by CR LF, in pieces of any size. */
  body(): AsyncIterable<Buffer>;
}

/** The body goes in pieces of this size. */
const CHUNK_BYTES = 65_535;
const NOTHING = Buffer.alloc(0);

/** @returns the verdict that ends it */
export async function showContent(
  milter: Milter,
  content: MilterContent,
  edits: MilterEdits,
  macros: MacroSource,
): Promise<Verdict | undefined> {
  if (!milter.beginContent()) return milter.standing;
  let verdict: Verdict | undefined;
  if (milter.wants('header')) verdict = await showHeaders(milter, content, macros);
  if (verdict === undefined && !milter.isDone && milter.wants('endOfHeaders')) {
    verdict = await milter.show('endOfHeaders', macros, NOTHING);
  }
  if (verdict === undefined && !milter.isDone && milter.wants('body')) {
    verdict = await showBody(milter, content, macros);
  }
  if (verdict !== undefined || milter.isDone) return verdict;
  return milter.show('endOfMessage', macros, NOTHING, edits);
}

async function showHeaders(
  milter: Milter,
  content: MilterContent,
  macros: MacroSource,
): Promise<Verdict | undefined> {
  for await (const { name, text } of content.headers()) {
    // Sendmail eats a blank, and milters rely on it unless they say that they don't.
    const value = milter.wantsLeadingSpace ? text : text.replace(/^ /, '');
    const data = Buffer.from(terminated(name) + terminated(value), 'latin1');
    const verdict = await milter.show('header', macros, data);
    if (verdict !== undefined || milter.isDone || milter.skips('header')) return verdict;
  }
  return undefined;
}

async function showBody(
  milter: Milter,
  content: MilterContent,
  macros: MacroSource,
): Promise<Verdict | undefined> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let length = 0;
  for await (const bytes of content.body()) {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(chunk, length, at);
      at += copied;
      length += copied;
      if (length < CHUNK_BYTES) continue;
      const verdict = await milter.show('body', macros, chunk);
      if (verdict !== undefined || milter.isDone || milter.skips('body')) return verdict;
      length = 0;
    }
  }
  return length === 0 ? undefined : milter.show('body', macros, chunk.subarray(0, length));
}
