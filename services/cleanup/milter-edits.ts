/** What milters want changed, done to the queue file. */
import type { Edited, MilterEdits } from '../../lib/milter/edits.ts';
import { DISCARD, type Verdict } from '../../lib/milter/verdict.ts';
import * as content from './content-edits.ts';
import * as envelope from './envelope-edits.ts';
import type { Message } from './message.ts';
import type { MilterHeaderChecks } from './milter-header-checks.ts';
import { FLAG, STATUS, statusDetail } from './protocol.ts';

export class MessageEdits implements MilterEdits {
  readonly #message: Message;
  readonly #checks: MilterHeaderChecks | undefined;
  #body: content.BodyRewriter | undefined;

  constructor(message: Message, checks: MilterHeaderChecks | undefined) {
    this.#message = message;
    this.#checks = checks;
  }

  addHeader(name: string, text: string): Edited {
    return this.#checked(`${name}:${text}`, (header) =>
      content.appendHeader(this.#message, header),
    );
  }

  insertHeader(index: number, name: string, text: string): Edited {
    return this.#checked(`${name}:${text}`, (header) =>
      content.insertHeader(this.#message, index, header),
    );
  }

  changeHeader(index: number, name: string, text: string): Edited {
    return this.#checked(`${name}:${text}`, (header) =>
      content.changeHeader(this.#message, index, name, header),
    );
  }

  deleteHeader(index: number, name: string): Edited {
    return this.#done(() => content.deleteHeader(this.#message, index, name));
  }

  changeSender(address: string, parameters: string): Edited {
    return this.#done(() => envelope.changeSender(this.#message, address, parameters));
  }

  addRecipient(address: string, parameters: string): Edited {
    return this.#done(() => envelope.addRecipient(this.#message, address, parameters));
  }

  deleteRecipient(address: string): Edited {
    return this.#done(() => envelope.deleteRecipient(this.#message, address));
  }

  beginBody(): Edited {
    const body = new content.BodyRewriter(this.#message);
    this.#body = body;
    return this.#done(() => body.begin());
  }

  addBodyLine(text: string, isOpen: boolean): Edited {
    return this.#done(async () => this.#body?.add(text, isOpen));
  }

  endBody(): Edited {
    return this.#done(async () => this.#body?.finish());
  }

  /** `milter_header_checks` may want another header, or none. */
  async #checked(
    header: string,
    write: (header: string) => Promise<void>,
  ): Promise<Verdict | undefined> {
    const checks = this.#checks;
    if (checks === undefined) return this.#done(() => write(header));
    return this.#done(async () => {
      const kept = await checks.check(header);
      if (kept !== undefined) await write(kept);
    });
  }

  async #done(edit: () => Promise<void>): Promise<Verdict | undefined> {
    const message = this.#message;
    try {
      await edit();
    } catch (error) {
      message.writeFailed(error);
    }
    if (message.has(FLAG.DISCARD)) return DISCARD;
    if (message.errors === 0) return undefined;
    const { status, text } = statusDetail(message.errors);
    const code = (message.errors & (STATUS.CONT | STATUS.SIZE)) === 0 ? 451 : 552;
    return { kind: 'reply', text: `${code} ${status} ${text}` };
  }
}
