/** What a milter may do to a message when it has seen all of it. */
import type { Verdict } from './verdict.ts';

/** Text is byte strings. A verdict is what becomes of the message when a change can't be made. */
export interface MilterEdits {
  /** Adds a header behind all others. `text` is what follows the colon. */
  addHeader(name: string, text: string): Edited;
  /** Inserts a header in front of another: 1 is the first, our own Received header. */
  insertHeader(index: number, name: string, text: string): Edited;
  /** Replaces the header of that name that is so many-th, without our own Received header. */
  changeHeader(index: number, name: string, text: string): Edited;
  deleteHeader(index: number, name: string): Edited;
  /** Addresses are as in MAIL and RCPT, and so are parameters. */
  changeSender(address: string, parameters: string): Edited;
  addRecipient(address: string, parameters: string): Edited;
  deleteRecipient(address: string): Edited;
  beginBody(): Edited;
  /** A line of the new body; `isOpen`: it goes on. */
  addBodyLine(text: string, isOpen: boolean): Edited;
  endBody(): Edited;
}

export type Edited = Promise<Verdict | undefined> | Verdict | undefined;
