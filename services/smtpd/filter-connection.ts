/** The SMTP client's side of a before-queue filter: one command at a time. SMTPD_PROXY_README. */
import { isIP, type Socket } from 'node:net';
import { withDeadline } from '../../lib/async/deadline.ts';
import { parsePort, splitInetName } from '../../lib/config/inet-name.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import type { Log } from '../../lib/log/log.ts';
import { connectTo, type HostAddress } from '../../lib/net/connect.ts';
import { describeTrouble } from '../../lib/net/trouble.ts';

/** What the client hears of all trouble: the rest is nobody's business. */
export const FILTER_TROUBLE = '451 4.3.0 Error: queue file write error';

/** Of a reply, so many bytes are kept. */
const REPLY_BYTES_MAX = 2048;
/** A line of a filter that never ends. */
const LINE_BYTES_MAX = 16 * 1024;
const SHOWN_MAX = 100;

/** Where a filter is, and how long it may take. */
export interface FilterAddress {
  /** As it is written, in the log. */
  readonly text: string;
  readonly timeoutMs: number;
}

/** The filter could not be talked to; the log says why. */
export class FilterError extends Error {}

/** What a reply has to begin with: success, `354`, or anything. */
export type Wanted = '2' | '3' | '';

export class FilterConnection {
  readonly #socket: Socket;
  readonly #address: FilterAddress;
  readonly #log: Log;
  #received = '';
  #ended = false;
  #changed = () => {};

  private constructor(socket: Socket, address: FilterAddress, log: Log) {
    this.#socket = socket;
    this.#address = address;
    this.#log = log;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#changed();
    });
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#changed();
      });
    }
    socket.on('drain', () => this.#changed());
  }

  /** @throws {FilterError} */
  static async open(
    address: FilterAddress,
    resolver: Resolver,
    log: Log,
  ): Promise<FilterConnection> {
    try {
      const host = await locate(address.text, resolver);
      const socket = await connectTo(host, { connectMs: address.timeoutMs });
      return new FilterConnection(socket, address, log);
    } catch (error) {
      log.warn(`connect to proxy filter ${address.text}: ${describeTrouble(error)}`);
      throw new FilterError('connect', { cause: error });
    }
  }

  /**
   * Says a command, and waits for the reply. The log says so when it is not what was wanted.
   *
   * @param command absent: the greeting is waited for
   * @returns the reply, its lines joined by CR LF
   * @throws {FilterError}
   */
  async ask(command: string | undefined, wanted: Wanted): Promise<string> {
    if (command !== undefined) this.#socket.write(`${command}\r\n`, 'utf8');
    const reply = await this.#reply();
    if (!reply.startsWith(wanted)) {
      const shown = reply.replace(/[\r\n]/g, '?');
      const what = command ?? 'connection request';
      this.#log.warn(`proxy ${this.#address.text} rejected "${what}": "${shown}"`);
    }
    return reply;
  }

  /** Sends content; waits while the filter is slow to take it. @throws {FilterError} */
  async send(bytes: Buffer): Promise<void> {
    if (this.#ended) throw this.#lost();
    if (this.#socket.write(bytes)) return;
    await this.#until(() => this.#socket.writableLength === 0);
  }

  /** Takes leave. */
  quit(): void {
    if (!this.#ended) this.#socket.write('QUIT\r\n');
    this.#socket.destroySoon();
  }

  /** Without a word: what was begun is void. */
  abort(): void {
    this.#socket.destroy();
  }

  async #reply(): Promise<string> {
    let reply = '';
    for (;;) {
      const line = await this.#line();
      if (reply.length < REPLY_BYTES_MAX) reply += `${reply === '' ? '' : '\r\n'}${line}`;
      if (!/^\d{3}/.test(line)) {
        const shown = line.slice(0, SHOWN_MAX);
        this.#log.warn(`received garbage from proxy ${this.#address.text}: ${shown}`);
      } else if (line.charAt(3) !== '-') {
        return reply;
      }
    }
  }

  async #line(): Promise<string> {
    await this.#until(
      () => this.#received.includes('\n') || this.#received.length > LINE_BYTES_MAX,
    );
    const end = this.#received.indexOf('\n');
    const length = end < 0 ? this.#received.length : end + 1;
    const line = this.#received.slice(0, length).replace(/\r?\n$/, '');
    this.#received = this.#received.slice(length);
    return Buffer.from(line, 'latin1').toString('utf8');
  }

  async #until(done: () => boolean): Promise<void> {
    if (done()) return;
    const wait = () =>
      new Promise<void>((resolve) => {
        this.#changed = () => {
          if (done() || this.#ended) resolve();
        };
        this.#changed();
      });
    try {
      await withDeadline(this.#address.timeoutMs, undefined, wait);
    } catch (error) {
      this.#log.warn(`timeout talking to proxy ${this.#address.text}`);
      throw new FilterError('timeout', { cause: error });
    }
    if (!done()) throw this.#lost();
  }

  #lost(): FilterError {
    this.#log.warn(`lost connection with proxy ${this.#address.text}`);
    return new FilterError('lost connection');
  }
}

/** `host:port`, `:port` or `port`, with `inet:` or without; `unix:pathname`. */
async function locate(text: string, resolver: Resolver): Promise<HostAddress> {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) };
  const { host: given, port: name } = splitInetName(text.replace(/^inet:/, ''));
  const host = given || 'localhost';
  const port = parsePort(name);
  if (isIP(host) !== 0) return { address: host, port };
  const [found] = (await resolver.lookupNative(host)).records;
  if (found === undefined) throw new Error(`host not found: ${host}`);
  return { address: found.address, port };
}
