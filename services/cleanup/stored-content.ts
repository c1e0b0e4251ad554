/** The content of a message that is in its queue file already, as milters see and change it. */
import { headerNameLength } from '../../lib/message/header.ts';
import type { MilterContent } from '../../lib/milter/content.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordReader, type RecordSource } from '../../lib/queue/record-reader.ts';
import type { Message } from './message.ts';

/** A header where it lies. */
export interface StoredHeader {
  /** Lines are joined by line feeds. A byte string. */
  readonly text: string;
  /** Offset of its first record. */
  readonly at: number;
  readonly first: { readonly type: string; readonly text: string };
  /** Where the file goes on behind its first record. */
  readonly afterFirst: number;
  /** Where it goes on behind its last one. */
  readonly end: number;
}

const CRLF = Buffer.from('\r\n');
const PIECE_BYTES = 64 * 1024;

/** The file of a message, everything written so far in it. */
export async function openStored(message: Message): Promise<RecordSource> {
  await message.flush();
  const { file } = message;
  return { fd: file.fd, path: file.path, sizeBytes: file.sizeBytes };
}

/** All headers in their order, changed ones as they are now. */
export async function* storedHeaders(message: Message): AsyncGenerator<StoredHeader> {
  const reader = new RecordReader(await openStored(message), message.contentOffset);
  let header: StoredHeader | undefined;
  let isOpen = false;
  while (await next(reader)) {
    const { type } = reader;
    if (type === RECORD.padding) {
      // It belongs to the record before it: a pointer may take the place of both.
      if (header?.end === header?.afterFirst) header &&= { ...header, ...endAt(reader.position) };
      continue;
    }
    if (type !== RECORD.text && type !== RECORD.longText) break;
    const text = reader.data().toString('latin1');
    const end = reader.position;
    const isFolded = text.startsWith(' ') || text.startsWith('\t');
    if (header !== undefined && (isOpen || isFolded)) {
      header = { ...header, text: `${header.text}${isOpen ? '' : '\n'}${text}`, end };
    } else if (headerNameLength(text) > 0) {
      if (header !== undefined) yield header;
      header = { text, at: reader.offset, first: { type, text }, ...endAt(end) };
    } else break;
    isOpen = type === RECORD.longText;
  }
  if (header !== undefined) yield header;
}

const endAt = (end: number) => ({ afterFirst: end, end });

/** As a milter is shown it: without our own Received header. */
export class StoredContent implements MilterContent {
  readonly #message: Message;

  constructor(message: Message) {
    this.#message = message;
  }

  async *headers(): AsyncGenerator<{ name: string; text: string }> {
    let isFirst = true;
    for await (const { text } of storedHeaders(this.#message)) {
      const isOurs = isFirst;
      isFirst = false;
      if (isOurs) continue;
      const length = headerNameLength(text);
      yield { name: text.slice(0, length), text: text.slice(text.indexOf(':') + 1) };
    }
  }

  async *body(): AsyncGenerator<Buffer> {
    const message = this.#message;
    const start = message.hooks?.headers?.target ?? message.extractedOffset;
    const reader = new RecordReader(await openStored(message), start);
    let pieces: Buffer[] = [];
    let bytes = 0;
    let isFirst = true;
    while (await next(reader)) {
      const { type } = reader;
      if (type === RECORD.padding) continue;
      if (type !== RECORD.text && type !== RECORD.longText) break;
      const isSeparator = isFirst && reader.end === reader.start;
      isFirst = false;
      if (isSeparator) continue;
      // What the reader shows lasts until it reads on.
      pieces.push(Buffer.from(reader.data()));
      if (type === RECORD.text) pieces.push(CRLF);
      bytes += reader.end - reader.start + CRLF.length;
      if (bytes < PIECE_BYTES) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      bytes = 0;
    }
    if (pieces.length > 0) yield Buffer.concat(pieces);
  }
}

/** Moves on to the next record, reading when that is needed. */
export async function next(reader: RecordReader): Promise<boolean> {
  for (;;) {
    const step = reader.step();
    if (step !== 'fill') return step === 'record';
    await reader.fill();
  }
}
