/** A milter's requests to change a message, one packet each, turned into changes. */
import type { Edited, MilterEdits } from './edits.ts';
import type { FieldReader } from './packet.ts';
import { REPLY } from './protocol.ts';
import type { Verdict } from './verdict.ts';

/** A milter asked for what makes no sense. */
class MisuseError extends Error {
  override readonly name = 'MisuseError';
}

/** A line of a body that is longer is handed on in pieces. */
const LINE_BYTES_MAX = 2048;
const LF = 0x0a;

type Take = (requests: EditRequests, fields: FieldReader) => Edited;

export class EditRequests {
  readonly edits: MilterEdits;
  readonly #space: string;
  /** A change could not be made: those that follow are not tried. */
  #trouble: Verdict | undefined;
  #body: 'none' | 'open' | 'closed' = 'none';
  #line = '';

  /** @param givesSpace what follows a header's colon is all there; else a blank belongs in front */
  constructor(edits: MilterEdits, givesSpace: boolean) {
    this.edits = edits;
    this.#space = givesSpace ? '' : ' ';
  }

  /** Whether a reply is a request for a change. */
  takes(letter: string): boolean {
    return Object.hasOwn(TAKES, letter);
  }

  /** @throws {PacketError} @throws what `isMisuse` knows */
  async take(letter: string, fields: FieldReader): Promise<void> {
    if (letter !== REPLY.replaceBody) await this.#closeBody();
    const edited = TAKES[letter]?.(this, fields);
    const trouble = edited instanceof Promise ? await edited : edited;
    this.#trouble ??= trouble;
  }

  /** All requests have come. @returns what went wrong with one */
  async finish(): Promise<Verdict | undefined> {
    await this.#closeBody();
    return this.#trouble;
  }

  isMisuse(error: unknown): boolean {
    return error instanceof MisuseError;
  }

  /** Makes a change, unless an earlier one failed. */
  edit(change: (edits: MilterEdits) => Edited): Edited {
    return this.#trouble === undefined ? change(this.edits) : undefined;
  }

  headerOf(fields: FieldReader, what: string): { name: string; text: string; isEmpty: boolean } {
    const name = fields.string();
    const value = fields.string();
    if (name === '') throw new MisuseError(`null ${what} header name`);
    return { name, text: this.#space + value, isEmpty: value === '' };
  }

  async replaceBody(bytes: Buffer): Promise<Verdict | undefined> {
    if (this.#body === 'closed') {
      throw new MisuseError(
        "body replacement requests can't currently be mixed with other requests",
      );
    }
    let trouble = this.#body === 'none' ? await this.edit((edits) => edits.beginBody()) : undefined;
    this.#body = 'open';
    for (let at = 0; at < bytes.length && trouble === undefined; ) {
      const end = bytes.indexOf(LF, at);
      const stop = Math.min(end < 0 ? bytes.length : end, at + LINE_BYTES_MAX - this.#line.length);
      this.#line += bytes.toString('latin1', at, stop);
      at = stop;
      if (stop === end) {
        trouble = await this.#putLine(this.#line.replace(/\r$/, ''), false);
        at += 1;
      } else if (this.#line.length >= LINE_BYTES_MAX) {
        // A CR may be the first half of a line end.
        const held = this.#line.endsWith('\r') ? '\r' : '';
        trouble = await this.#putLine(this.#line.slice(0, this.#line.length - held.length), true);
        this.#line = held;
      }
    }
    return trouble;
  }

  async #putLine(text: string, isOpen: boolean): Promise<Verdict | undefined> {
    this.#line = '';
    return this.edit((edits) => edits.addBodyLine(text, isOpen));
  }

  async #closeBody(): Promise<void> {
    if (this.#body !== 'open') return;
    this.#body = 'closed';
    if (this.#line !== '') this.#trouble ??= await this.#putLine(this.#line, false);
    this.#trouble ??= await this.edit((edits) => edits.endBody());
  }
}

const TAKES: Readonly<Record<string, Take>> = {
  [REPLY.addHeader]: (requests, fields) => {
    const { name, text } = requests.headerOf(fields, 'add');
    return requests.edit((edits) => edits.addHeader(name, text));
  },
  [REPLY.insertHeader]: (requests, fields) => {
    const index = fields.long() + 1;
    const { name, text } = requests.headerOf(fields, 'insert');
    return requests.edit((edits) => edits.insertHeader(index, name, text));
  },
  [REPLY.changeHeader]: (requests, fields) => {
    // As in Sendmail, 0 is the first, too.
    const index = fields.long() || 1;
    const { name, text, isEmpty } = requests.headerOf(fields, 'change');
    return requests.edit((edits) =>
      isEmpty ? edits.deleteHeader(index, name) : edits.changeHeader(index, name, text),
    );
  },
  [REPLY.changeSender]: (requests, fields) => {
    const address = fields.string();
    const parameters = fields.optionalString() ?? '';
    return requests.edit((edits) => edits.changeSender(address, parameters));
  },
  [REPLY.addRecipient]: (requests, fields) => {
    const address = fields.string();
    return requests.edit((edits) => edits.addRecipient(address, ''));
  },
  [REPLY.addRecipientWith]: (requests, fields) => {
    const address = fields.string();
    const parameters = fields.optionalString() ?? '';
    return requests.edit((edits) => edits.addRecipient(address, parameters));
  },
  [REPLY.deleteRecipient]: (requests, fields) => {
    const address = fields.string();
    return requests.edit((edits) => edits.deleteRecipient(address));
  },
  [REPLY.replaceBody]: (requests, fields) => requests.replaceBody(fields.bytes()),
};
