import type { Socket } from 'node:net';
import { withDeadline } from '../../lib/async/deadline.ts';
import { monotonic } from '../../lib/clock/clock.ts';
import type { Reply } from '../../lib/smtp/reply.ts';
import { type ParsedReply, ReplyParser } from '../../lib/smtp/reply-parser.ts';
import { type Features, NO_FEATURES } from './features.ts';
import { FilteredLines } from './reply-filter.ts';
import { Transcript } from './transcript.ts';
import type { Break, Peer } from './trouble.ts';

/** The conversation broke off. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly how: Break;

  constructor(how: Break, peer: Peer, cause?: unknown) {
    super(`${how}: ${peer.relay}`, { cause });
    this.how = how;
  }
}

/** Unread bytes of a server that talks out of turn; then it has to wait. */
const UNREAD_MAX = 256 * 1024;

/** A connection to a server: commands out, replies in. Whoever made it closes it. */
export class SmtpSession {
  readonly peer: Peer;
  readonly openedAt = monotonic();
  /** Kept where postmaster wants to see it. */
  readonly transcript: Transcript | undefined;
  features: Features = NO_FEATURES;
  /** How often it has been used, this time included. */
  uses = 1;
  /** It must not be used again. */
  spent = false;
  /** QUIT went out with the message. */
  quitSent = false;
  /** RSET went out, and nobody has read what the server says to it. */
  resetSent = false;
  readonly #socket: Socket;
  readonly #parser: ReplyParser;
  readonly #onOddity: (text: string) => void;
  readonly #filtered: FilteredLines | undefined;
  #failure: unknown;
  /** The reply filter has no answer: what the server said is not known. */
  #filterFailure: unknown;
  #ended = false;
  #unread = 0;
  #wake: () => void = () => {};

  constructor(socket: Socket, peer: Peer, options: SessionOptions) {
    this.peer = peer;
    this.#socket = socket;
    this.#parser = new ReplyParser({ lineLimit: options.lineLengthMax, utf8: options.utf8 });
    this.#onOddity = options.onOddity;
    this.transcript = options.keepsTranscript ? new Transcript() : undefined;
    this.#filtered = this.#filteredBy(options);
    const sink = this.#filtered ?? this.#parser;
    socket.on('data', (bytes: Buffer) => {
      sink.push(bytes);
      this.#unread += bytes.length;
      if (this.#unread > UNREAD_MAX) socket.pause();
      this.#wake();
    });
    socket.on('error', (error) => {
      this.#failure = error;
      this.#end();
    });
    socket.on('end', () => this.#endAfterLines());
    socket.on('close', () => this.#endAfterLines());
    socket.on('drain', () => this.#wake());
  }

  /** The server has gone, or has said something that nobody asked for. */
  get isStale(): boolean {
    return this.#ended || this.#parser.hasPending || (this.#filtered?.hasPending ?? false);
  }

  /** Sends without waiting: commands, whose replies are waited for. */
  send(text: string | Buffer): void {
    if (!this.#socket.writable) return;
    if (typeof text === 'string') this.transcript?.said(text);
    this.#socket.write(text);
  }

  /** Sends, and waits until there is room for more. @throws {SessionError} */
  async write(bytes: Buffer, timeoutMs: number): Promise<void> {
    if (this.#socket.writable && this.#socket.write(bytes)) return;
    await this.#within(timeoutMs, async () => {
      while (this.#socket.writableNeedDrain || !this.#socket.writable) {
        if (this.#ended) throw new SessionError('lost', this.peer, this.#failure);
        await this.#woken();
      }
    });
  }

  /** The next reply; all of it within `timeoutMs`. @throws {SessionError} */
  async reply(timeoutMs: number): Promise<Reply> {
    const parsed = this.#next() ?? (await this.#within(timeoutMs, () => this.#nextLater()));
    for (const line of parsed.garbage) {
      this.#onOddity(`non-SMTP response from ${this.peer.label}: ${line.slice(0, 100)}`);
    }
    if (parsed.truncated) {
      const start = parsed.reply.lines[0]?.slice(0, 30) ?? '';
      this.#onOddity(`${this.peer.label}: response longer than line_length_limit: ${start}...`);
    }
    this.transcript?.heard(parsed.reply);
    return parsed.reply;
  }

  /** Sends one command and waits for its reply. @throws {SessionError} */
  command(line: string, timeoutMs: number): Promise<Reply> {
    this.send(`${line}\r\n`);
    return this.reply(timeoutMs);
  }

  /** Calls `action` when the server goes or speaks, while nobody uses the session. */
  watch(action: () => void): void {
    this.#wake = action;
    this.#socket.unref();
  }

  unwatch(): void {
    this.#wake = () => {};
    this.#socket.ref();
  }

  /** Says no more; what has been written still goes out. */
  close(): void {
    this.spent = true;
    this.#socket.end();
    this.#socket.resume();
    // Whether the server closes its side is its own business.
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.spent = true;
    this.#socket.destroy();
  }

  #next(): ParsedReply | undefined {
    const parsed = this.#parser.next();
    if (this.#unread > 0) {
      this.#unread = 0;
      if (this.#socket.isPaused()) this.#socket.resume();
    }
    return parsed;
  }

  async #nextLater(): Promise<ParsedReply> {
    for (;;) {
      const parsed = this.#next();
      if (parsed !== undefined) return parsed;
      if (this.#filterFailure !== undefined) {
        throw new SessionError('data', this.peer, this.#filterFailure);
      }
      if (this.#ended) throw new SessionError('lost', this.peer, this.#failure);
      await this.#woken();
    }
  }

  #filteredBy({ replyFilter, lineLengthMax }: SessionOptions): FilteredLines | undefined {
    if (replyFilter === undefined) return undefined;
    return new FilteredLines(replyFilter, {
      lineLimit: lineLengthMax,
      push: (bytes) => {
        this.#parser.push(bytes);
        this.#wake();
      },
      failed: (error) => {
        this.#filterFailure = error;
        this.#wake();
      },
    });
  }

  #endAfterLines(): void {
    if (this.#filtered === undefined) this.#end();
    else this.#filtered.afterAll(() => this.#end());
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  async #within<T>(timeoutMs: number, action: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(timeoutMs, undefined, action, this.peer.relay);
    } catch (error) {
      // Our own trouble is no reason not to take leave.
      this.spent = !(error instanceof SessionError && error.how === 'data');
      if (error instanceof SessionError) throw error;
      throw new SessionError('timeout', this.peer, error);
    }
  }
}

/** @returns what is to be read in place of a line; `undefined`: the line itself */
export type ReplyFilter = (line: string) => Promise<string | undefined>;

export interface SessionOptions {
  readonly lineLengthMax: number;
  readonly utf8: boolean;
  /** Replaces lines that the server says. */
  readonly replyFilter?: ReplyFilter | undefined;
  readonly keepsTranscript: boolean;
  /** Told about a server that does not speak SMTP. */
  onOddity(text: string): void;
}
