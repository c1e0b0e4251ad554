/**
 * Changes to the headers and the body of a message that is in its queue file already: what is new is
 * written behind the end of the file, and pointers lead there and back. queue.md 3.9.
 */
import { headerNameLength } from '../../lib/message/header.ts';
import { formatRecord, RECORD } from '../../lib/queue/record.ts';
import { writeHeader } from './header-records.ts';
import { formatPointer, type Hook, pad, pointerTo } from './hooks.ts';
import type { Message } from './message.ts';
import { type StoredHeader, storedHeaders } from './stored-content.ts';

/** Adds records behind all that a hook leads to. */
export async function append(message: Message, hook: Hook, write: () => unknown): Promise<void> {
  const { output, file } = message;
  const at = output.offset;
  await write();
  const pointerAt = output.offset;
  message.put(RECORD.pointer, pointerTo(hook.target));
  await message.flush();
  if (!message.writes) return;
  file.writeAt(formatPointer(at), hook.at);
  hook.at = pointerAt;
}

/** Puts records in the place of those from `at` on; the file goes on at `target` behind them. */
export async function replace(
  message: Message,
  { at, target }: Hook,
  write: () => unknown,
): Promise<void> {
  const { output, file } = message;
  const newAt = output.offset;
  await write();
  message.put(RECORD.pointer, pointerTo(target));
  await message.flush();
  if (message.writes) file.writeAt(formatPointer(newAt), at);
}

export async function appendHeader(message: Message, header: string): Promise<void> {
  const hook = message.hooks?.headers;
  if (hook !== undefined) await append(message, hook, () => writeHeader(message, header));
}

/** @param index 1 is the first header of all */
export async function insertHeader(message: Message, index: number, header: string): Promise<void> {
  const found = await findHeader(message, index, () => true);
  if (found === undefined) return appendHeader(message, header);
  const { at, afterFirst: target, first } = found;
  await replace(message, { at, target }, () => {
    writeHeader(message, header);
    message.put(first.type, first.text);
    pad(message.output, RECORD.padding, first.text.length);
  });
}

/** @param index of those with that name, without our own Received header; 1 is the first */
export async function changeHeader(
  message: Message,
  index: number,
  name: string,
  header: string,
): Promise<void> {
  const found = await findNamed(message, index, name);
  if (found === undefined) return appendHeader(message, header);
  const { at, end: target } = found;
  await replace(message, { at, target }, () => writeHeader(message, header));
}

export async function deleteHeader(message: Message, index: number, name: string): Promise<void> {
  const found = await findNamed(message, index, name);
  if (found !== undefined) message.file.writeAt(formatPointer(found.end), found.at);
}

function findNamed(
  message: Message,
  index: number,
  name: string,
): Promise<StoredHeader | undefined> {
  const wanted = name.toLowerCase();
  let isFirst = true;
  return findHeader(message, index, ({ text }) => {
    const isOurs = isFirst;
    isFirst = false;
    return !isOurs && text.slice(0, headerNameLength(text)).toLowerCase() === wanted;
  });
}

async function findHeader(
  message: Message,
  index: number,
  matches: (header: StoredHeader) => boolean,
): Promise<StoredHeader | undefined> {
  let left = index;
  for await (const header of storedHeaders(message)) {
    if (matches(header)) left -= 1;
    if (left <= 0) return header;
  }
  return undefined;
}

/** Room for a pointer is kept where a region of the file ends. */
const POINTER_BYTES = formatPointer(0).length;

/**
 * Writes a new body: over the old one as far as that goes, and behind the end of the file from there
 * on.
 */
export class BodyRewriter {
  readonly #message: Message;
  /** Where the next record goes in the place of the old body; -1: behind the end of the file. */
  #at: number;
  readonly #end: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #bodyBytes = 0;

  constructor(message: Message) {
    this.#message = message;
    this.#at = message.hooks?.headers?.target ?? message.extractedOffset;
    this.#end = message.extractedOffset;
  }

  /** The line between headers and body. */
  begin(): Promise<void> {
    return this.#put(RECORD.text, '');
  }

  add(text: string, isOpen: boolean): Promise<void> {
    return this.#put(isOpen ? RECORD.longText : RECORD.text, text);
  }

  async finish(): Promise<void> {
    const message = this.#message;
    if (this.#at < 0) {
      message.put(RECORD.pointer, pointerTo(this.#end));
      await message.flush();
    } else this.#jump(this.#end);
    const start = message.hooks?.headers?.target ?? message.extractedOffset;
    message.contentBytes = start - message.contentOffset + this.#bodyBytes;
  }

  async #put(type: string, text: string): Promise<void> {
    const message = this.#message;
    const record = formatRecord(type, Buffer.from(text, 'latin1'));
    this.#bodyBytes += record.length;
    const end = this.#at + this.#pendingBytes + record.length + POINTER_BYTES;
    if (this.#at >= 0 && end <= this.#end) {
      this.#pending.push(record);
      this.#pendingBytes += record.length;
      if (this.#pendingBytes > FLUSH_BYTES) this.#flush();
      return;
    }
    if (this.#at >= 0) this.#jump(message.output.offset);
    message.put(type, text);
    if (message.output.mustFlush) await message.flush();
  }

  /** From here on the body is somewhere else. */
  #jump(target: number): void {
    this.#pending.push(formatPointer(target));
    this.#flush();
    this.#at = -1;
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#pending);
    this.#message.file.writeAt(bytes, this.#at);
    this.#at += bytes.length;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

const FLUSH_BYTES = 64 * 1024;
