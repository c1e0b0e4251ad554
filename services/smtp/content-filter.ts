/** Changes a message on its way out: addresses in its headers, 8 bits to 7. */
import { rewriteHeader } from '../../lib/address/list.ts';
import { headerNameLength, knownHeader } from '../../lib/message/header.ts';
import { type MimeEvent, MimeParser } from '../../lib/message/mime.ts';
import type { ContentChecks } from './content-checks.ts';
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
  /** What an administrator's rules do to lines. */
  readonly checks?: ContentChecks | undefined;
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
    const events: MimeEvent[] = [];
    let at = 0;
    while (at < chunk.length && !this.#isPlain) {
      const lineEnd = chunk.indexOf('\r\n', at);
      const end = lineEnd === -1 ? chunk.length : lineEnd;
      events.push(...this.#mime.line(chunk.toString('latin1', at, end), lineEnd === -1));
      at = lineEnd === -1 ? end : end + 2;
    }
    const changed = await this.#changed(events);
    return at === chunk.length ? changed : Buffer.concat([changed, chunk.subarray(at)]);
  }

  end(): Promise<Buffer> {
    return this.#changed(this.#mime.end());
  }

  async #changed(events: readonly MimeEvent[]): Promise<Buffer> {
    const { checks } = this.#options;
    let out = '';
    for (const event of checks === undefined ? events : await checks.apply(events)) {
      out += event.kind === 'prepended' ? `${event.text}\n` : await this.#text(event);
    }
    return bytes(out);
  }

  /** Only headers were to be changed, and they have gone by. */
  get #isPlain(): boolean {
    if (this.#converter !== undefined || this.#options.checks?.wantsBody === true) return false;
    return this.#mime.isOpaque;
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
