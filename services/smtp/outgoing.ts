/** A message on its way to the wire: queue file records to CRLF text, long lines broken, dots. */

import type { QueueFile } from '../../lib/queue/queue-file.ts';
import { DotStuffer } from '../../lib/smtp/dot.ts';
import { LineFolder } from './line-folder.ts';

/** Changes content on its way: header rewriting, conversion to 7 bits. */
export interface ContentFilter {
  push(chunk: Buffer): Buffer | Promise<Buffer>;
  end(): Buffer | Promise<Buffer>;
}

export interface OutgoingOptions {
  readonly message: Pick<QueueFile, 'content' | 'contentSync'>;
  readonly contentOffset: number;
  readonly contentSize: number;
  readonly lineLimit: number;
  readonly filter?: ContentFilter;
  /** What goes out with the final dot: a pipelined QUIT. */
  readonly epilogue: string;
}

/** Messages up to this size are read in one go: waiting for a thread would cost more. */
const SMALL_BYTES = 64 * 1024;

/**
 * The message in chunks, the final dot in the last one: a small message is one chunk, one write.
 *
 * @throws {QueueFileError} when the queue file is damaged
 */
export async function* outgoing(options: OutgoingOptions): AsyncGenerator<Buffer, void, undefined> {
  const wire = new Wire(options.lineLimit);
  const range = { from: options.contentOffset, lineEnd: '\r\n' } as const;
  const chunks =
    options.contentSize <= SMALL_BYTES
      ? options.message.contentSync(range)
      : options.message.content(range);
  let held: Buffer | undefined;
  for await (const chunk of chunks) {
    const filtered = options.filter === undefined ? chunk : await options.filter.push(chunk);
    if (filtered.length === 0) continue;
    if (held !== undefined) yield held;
    held = wire.push(filtered);
  }
  const rest = options.filter === undefined ? NOTHING : await options.filter.end();
  const tail = wire.push(rest);
  yield Buffer.concat([held ?? NOTHING, tail, wire.end(), Buffer.from(options.epilogue)]);
}

const NOTHING = Buffer.alloc(0);

class Wire {
  readonly #folder: LineFolder;
  readonly #stuffer = new DotStuffer();

  constructor(lineLimit: number) {
    this.#folder = new LineFolder(lineLimit);
  }

  push(text: Buffer): Buffer {
    return this.#stuffer.push(this.#folder.push(text));
  }

  end(): Buffer {
    return this.#stuffer.end();
  }
}
