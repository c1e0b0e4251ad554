/** A client that is not there: what looks like its socket to a session, and what drives it. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A whole reply: lines that go on, then the last one. */
const REPLY = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/;

export class MemoryClient {
  readonly socket: Socket;
  #received = '';
  #ended = false;
  #changed = () => {};

  constructor(address: string) {
    const stream = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#received += chunk.toString();
        this.#changed();
        done();
      },
    });
    const end = () => {
      this.#ended = true;
      this.#changed();
    };
    // When the server has said its last word, so has the client.
    stream.on('finish', () => stream.push(null));
    for (const event of ['finish', 'close']) stream.on(event, end);
    const itself = () => stream;
    this.socket = Object.assign(stream, {
      remoteAddress: address,
      remotePort: 0,
      localAddress: '',
      localPort: 25,
      setTimeout: itself,
      setNoDelay: itself,
      setKeepAlive: itself,
      ref: itself,
      unref: itself,
      address: () => ({}),
      connecting: false,
      bytesRead: 0,
      bytesWritten: 0,
      destroySoon() {
        stream.end(() => stream.destroy());
      },
    }) as unknown as Socket;
  }

  /** @returns the next reply, its lines joined by `\n`; '' when the server hung up instead */
  async reply(): Promise<string> {
    for (;;) {
      const found = REPLY.exec(this.#received)?.[0];
      if (found !== undefined) {
        this.#received = this.#received.slice(found.length);
        return found.replaceAll('\r\n', '\n').trimEnd();
      }
      if (this.#ended) return '';
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  say(text: string): Promise<string> {
    if (!this.#ended) this.socket.push(`${text}\r\n`);
    return this.reply();
  }

  close(): void {
    this.socket.destroy();
  }
}
