/**
 * 8-bit mail for a server that takes 7 bits: body parts declared 8bit or binary become
 * quoted-printable, and say so. RFC 6152 section 3. Lines in, lines out; text is a byte string.
 */
import { headerNameLength } from '../../lib/message/header.ts';
import { type HeaderWord, readWords } from '../../lib/message/header-words.ts';
import type { MimeEvent } from '../../lib/message/mime.ts';
import { encodeLine } from '../../lib/message/quoted-printable.ts';

/** Nested parts whose boundaries are watched for. */
const BOUNDARIES_MAX = 100;

export class SevenBitConverter {
  readonly #boundaries: string[] = [];
  /** The headers now going by: 8bit or binary was declared; the part has parts or a message in it. */
  #declared8Bit = false;
  #composite = false;
  #inHeaders = true;
  #encoding = false;
  #previousContinued = false;

  /** What is sent in place of `event`: whole lines with LF ends, or a piece of a line. */
  convert(event: MimeEvent): string {
    switch (event.kind) {
      case 'header':
        return this.#header(event.text);
      case 'headers-end':
        return this.#endHeaders();
      case 'body':
        return this.#body(event.text, event.continued);
      case 'error':
        return '';
    }
  }

  #header(text: string): string {
    this.#inHeaders = true;
    this.#encoding = false;
    const name = text.slice(0, headerNameLength(text)).toLowerCase();
    const start = text.indexOf(':') + 1;
    if (name === 'content-type') this.#learnType(text, start);
    if (name !== 'content-transfer-encoding') return `${text}\n`;
    const [word] = readWords(text, start, '', 1).words;
    this.#declared8Bit = /^(8bit|binary)$/i.test(word?.text ?? '');
    // Its successor follows when the whole part is known.
    return this.#declared8Bit ? '' : `${text}\n`;
  }

  #endHeaders(): string {
    if (!this.#inHeaders) return '';
    this.#inHeaders = false;
    this.#encoding = this.#declared8Bit && !this.#composite;
    const header = this.#composite ? '7bit' : 'quoted-printable';
    const text = this.#declared8Bit ? `Content-Transfer-Encoding: ${header}\n` : '';
    this.#declared8Bit = false;
    this.#composite = false;
    return text;
  }

  #body(text: string, continued: boolean): string {
    const headers = this.#endHeaders();
    const end = continued ? '' : '\n';
    const startsLine = !this.#previousContinued;
    this.#previousContinued = continued;
    if (headers !== '' && text === '') return `${headers}\n`;
    if (startsLine && this.#isBoundary(text)) {
      this.#encoding = false;
      return `${text}${end}`;
    }
    if (!this.#encoding) return `${headers}${text}${end}`;
    const encoded = encodeLine(Buffer.from(text, 'latin1'), continued);
    return `${headers}${encoded.replaceAll('\r\n', '\n')}${continued ? '\n' : end}`;
  }

  #isBoundary(text: string): boolean {
    if (!text.startsWith('--')) return false;
    return this.#boundaries.some((boundary) => text.startsWith(boundary, 2));
  }

  #learnType(text: string, start: number): void {
    const found = readWords(text, start, ';', 1);
    const main = found.words[0]?.text.toLowerCase();
    this.#composite = main === 'multipart' || main === 'message';
    if (main !== 'multipart') return;
    for (let at = found.next; at < text.length; ) {
      const { words, next } = readWords(text, at, ';', 3);
      at = next;
      const boundary = boundaryIn(words);
      if (boundary !== undefined && this.#boundaries.length < BOUNDARIES_MAX) {
        this.#boundaries.push(boundary);
      }
    }
  }
}

function boundaryIn([name, equals, value]: readonly HeaderWord[]): string | undefined {
  if (name?.text.toLowerCase() !== 'boundary' || equals?.text !== '=') return undefined;
  return value?.text === '' ? undefined : value?.text;
}
