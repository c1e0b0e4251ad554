/** Tells comsat(8) that there is mail, and from which byte of the mailbox on: `ann@1042`. */
import { DatagramSender } from '../../lib/net/datagram.ts';

/** biff/udp of services(5). */
const BIFF_PORT = 512;

export class Biff {
  readonly #sender: DatagramSender;

  constructor(warn: (text: string) => void) {
    this.#sender = new DatagramSender((error) => warn(`biff_notify: ${error.message}`));
  }

  /** @param offset where the message starts in the mailbox, in bytes */
  notify(user: string, offset: number): void {
    // The NUL at the end belongs to it.
    this.#sender.send(Buffer.from(`${user}@${offset}\0`), BIFF_PORT, '127.0.0.1');
  }

  close(): void {
    this.#sender.close();
  }
}
