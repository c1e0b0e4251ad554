/** Changes a message on its way out: addresses in its headers, 8 bits to 7. */
import { rewriteHeader } from '../../lib/address/list.ts';
import { headerNameLength, knownHeader } from '../../lib/message/header.ts';
import { type MimeEvent, MimeParser } from '../../lib/message/mime.ts';
import type { ContentFilter } from './outgoing.ts';
import { SevenBitConverter } from './seven-bit.ts';

export interface FilterOptions {
  readonly mime: {
    readonly disabled: boolean;
    readonly nestingLimit: number;
    readonly boundaryLimit: number;
    readonly headerLimit: number;
  };
  readonly addressTokenLimit: number;
  /** 8-bit parts become quoted-printable. */
  readonly sevenBit: boolean;
  /** smtp_generic_maps for the addresses in headers; external form. */
  rewrite?(address: string): Promise<string>;
}

const REPORT_NOTHING = {
  nesting: false,
  eightBitHeader: false,
  eightBitBody: false,
  encodingDomain: false,
} as const;

/** Text is held a line at a time, and only while it can still matter. */
export class MessageFilter implements ContentFilter {
  readonly #options: FilterOptions;
  readonly #mime: MimeParser;
  readonly #converter: SevenBitConverter | undefined;

  constructor(options: FilterOptions) {
    this.#options = options;
    this.#mime = new MimeParser({ ...options.mime, report: REPORT_NOTHING });
    this.#converter = options.sevenBit ? new SevenBitConverter() : undefined;
  }

  /** Chunks end where a line ends, or within a very long one. */
  async push(chunk: Buffer): Promise<Buffer> {
    if (this.#isPlain) return chunk;
    let out = '';
    for (let at = 0; at < chunk.length; ) {
      const lineEnd = chunk.indexOf('\r\n', at);
      const end = lineEnd === -1 ? chunk.length : lineEnd;
      const events = this.#mime.line(chunk.toString('latin1', at, end), lineEnd === -1);
      for (const event of events) out += await this.#text(event);
      at = lineEnd === -1 ? end : end + 2;
      if (this.#isPlain) return Buffer.concat([bytes(out), chunk.subarray(at)]);
    }
    return bytes(out);
  }

  async end(): Promise<Buffer> {
    let out = '';
    for (const event of this.#mime.end()) out += await this.#text(event);
    return bytes(out);
  }

  /** Only headers were to be changed, and they have gone by. */
  get #isPlain(): boolean {
    return this.#converter === undefined && this.#mime.isOpaque;
  }

  async #text(event: MimeEvent): Promise<string> {
    const changed = event.kind === 'header' ? await this.#rewritten(event) : event;
    if (this.#converter !== undefined) return this.#converter.convert(changed);
    if (changed.kind === 'header') return `${changed.text}\n`;
    return changed.kind === 'body' ? `${changed.text}${changed.continued ? '' : '\n'}` : '';
  }

  async #rewritten(event: MimeEvent & { kind: 'header' }): Promise<MimeEvent> {
    const { rewrite, addressTokenLimit } = this.#options;
    if (rewrite === undefined) return event;
    const name = event.text.slice(0, headerNameLength(event.text));
    if (knownHeader(name)?.addresses === undefined) return event;
    // The text is one character a byte; addresses may be UTF-8.
    const text = Buffer.from(event.text, 'latin1').toString('utf8');
    const after = await rewriteHeader(text, rewrite, { tokenLimit: addressTokenLimit });
    if (after === text) return event;
    return { ...event, text: Buffer.from(after, 'utf8').toString('latin1') };
  }
}

function bytes(text: string): Buffer {
  return Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
}
