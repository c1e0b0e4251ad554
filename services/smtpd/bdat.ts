/**
 * BDAT: a message in chunks, each as long as the client says. RFC 3030, without BINARYMIME: as in
 * Postfix, the content is lines.
 *
 * Chunks may come without a wait for our replies. So a chunk that is refused is read all the same,
 * and so are those that follow, until the last one or RSET.
 */
import type { CleanupMessage } from '../../lib/clients/cleanup.ts';
import type { Answer, ContentSink } from './answer.ts';
import { declineContent } from './before-queue.ts';
import { type Chunk, ChunkReader, parseChunk } from './chunk-reader.ts';
import { finishContent, openContent, refuseContent } from './content.ts';
import type { ContentReader } from './content-reader.ts';
import type { Session } from './session.ts';
import type { Transaction } from './transaction.ts';
import { joinWords, type Word } from './words.ts';

/** A message that comes in chunks, between the first and the last of them. */
export interface ChunkedMessage {
  readonly transaction: Transaction;
  readonly message: CleanupMessage;
  readonly reader: ContentReader;
  /** How many chunks there were. */
  count: number;
}

/** The log's name for the content of a chunk; the command itself is `BDAT`. */
export const BDAT_CONTENT = 'BDAT content';
/** Chunks of one message; Postfix has no limit. security.md section 5. */
const CHUNKS_MAX = 10_000;
/** Of a command that is wrong, so much goes into the log. */
const SHOWN_MAX = 100;

export async function bdat(session: Session, words: readonly Word[]): Promise<Answer> {
  const { smtpd, client } = session;
  if (client.offer?.chunking !== true) {
    return { reply: '521 5.5.1 Error: command not implemented', closes: true };
  }
  const chunk = parseChunk(words.slice(1).map(({ text }) => text));
  if (chunk === undefined) {
    const shown = joinWords(words, 0)
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, SHOWN_MAX);
    warn(session, `malformed BDAT command syntax from ${client.label}: ${shown}`);
    return { reply: '521 5.5.4 Syntax: BDAT count [LAST]', closes: true };
  }
  const { sizeBytes, isLast } = chunk;
  if (sizeBytes === 0 && !isLast) {
    warn(session, `null BDAT request from ${client.label}`);
    return skip(session, chunk, '551 5.7.1 Null BDAT request');
  }
  if (session.chunks === 'refused') {
    return skip(session, chunk, `551 5.0.0 Discarded ${sizeBytes} bytes after earlier error`);
  }
  const chunks = session.chunks ?? (await openChunks(session));
  if (typeof chunks === 'string' || !('reader' in chunks)) return skip(session, chunk, chunks);
  session.chunks = chunks;
  const { message_size_limit: limit, myhostname } = smtpd.parameters;
  if (limit > 0 && sizeBytes > limit - chunks.reader.sizeBytes) {
    warn(session, `BDAT request from ${client.label} exceeds message size limit`);
    return skip(session, chunk, '552 5.3.4 Chunk exceeds message size limit');
  }
  chunks.count += 1;
  if (chunks.count > CHUNKS_MAX) {
    warn(session, `more than ${CHUNKS_MAX} BDAT requests for a message from ${client.label}`);
    return { reply: `421 4.7.0 ${myhostname} Error: too many chunks`, closes: true };
  }
  return take(session, chunk, chunks);
}

/** The checks that DATA makes before content. @returns the reply that refuses */
async function openChunks(session: Session): Promise<ChunkedMessage | string | readonly string[]> {
  const { transaction } = session;
  if (transaction === undefined) return '503 5.5.1 Error: need RCPT command';
  const { message } = transaction;
  if (message === undefined || transaction.recipients.length === 0) {
    return '554 5.5.1 Error: no valid recipients';
  }
  const refusal = (await session.refusal('data')) ?? (await declineContent(message));
  if (refusal !== undefined) return refusal;
  const filtered = await session.milters?.data();
  if (filtered !== undefined) return filtered;
  const reader = await openContent(session, transaction, message, 'chunks');
  return { transaction, message, reader, count: 0 };
}

async function take(session: Session, chunk: Chunk, chunks: ChunkedMessage): Promise<Answer> {
  const { message, reader } = chunks;
  session.stage = BDAT_CONTENT;
  const finish = () => finishChunk(session, chunk, chunks);
  if (chunk.sizeBytes > 0) {
    const input = new ChunkReader(chunk, reader);
    return contentOf({ reader: input, write: (records) => message.write(records), finish });
  }
  await message.write(reader.finish());
  return finish();
}

async function finishChunk(
  session: Session,
  { sizeBytes, isLast }: Chunk,
  { transaction, message, reader }: ChunkedMessage,
): Promise<Answer> {
  if (isLast) {
    const extent = () => `${reader.sizeBytes} bytes `;
    return finishContent(session, transaction, message, { reader, extent });
  }
  const refusal = refuseContent(session, reader);
  if (refusal === undefined) return { reply: `250 2.0.0 Ok: ${sizeBytes} bytes` };
  session.reset();
  session.chunks = 'refused';
  return { reply: refusal };
}

/** Reads the chunk, drops it, and only then says why. */
function skip(
  session: Session,
  chunk: Chunk,
  reply: string | readonly string[],
): Answer | Promise<Answer> {
  const finish = async (): Promise<Answer> => {
    if (chunk.isLast) session.reset();
    else session.chunks = 'refused';
    return { reply };
  };
  if (chunk.sizeBytes === 0) return finish();
  return contentOf({ reader: new ChunkReader(chunk), write: () => {}, finish });
}

function contentOf(sink: Omit<ContentSink, 'counted'>): Answer {
  return { reply: [], content: { ...sink, counted: 'bdat' } };
}

function warn({ smtpd, transaction }: Session, text: string): void {
  const queueId = transaction?.message?.queueId;
  if (queueId !== undefined) smtpd.log.warn({ kind: 'text', queueId, text });
  else smtpd.log.warn(`NOQUEUE: ${text}`);
}
