/**
 * The only file that knows smtp-server: its connection owns the socket, splits lines, stops
 * reading from a client that does not read, and (with STARTTLS) upgrades to TLS. What a line means
 * and what is answered is ours: the package's own commands are never reached.
 */
import type { Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { after, type Timer } from '../../lib/clock/clock.ts';
import type { ContentReader } from './content-reader.ts';

/** Longer input without a line end is not mail: the session ends. */
const COMMAND_BYTES_MAX = 16 * 1024;
const CR = 0x0d;
const LF = 0x0a;
/** Bytes of replies that may wait for a client that does not read them. */
const UNSENT_BYTES_MAX = 64 * 1024;

/** What a session is told about its client. */
export interface ConnectionEvents {
  /** One line without its end; the next comes when the promise is settled. */
  onLine(line: Buffer, bareLineFeed: boolean): Promise<void> | void;
  /** A piece of content as records; reading goes on when the promise is settled. */
  onContent(records: Buffer): Promise<void> | void;
  /** The content has ended. */
  onContentEnd(): Promise<void> | void;
  /** Nothing came for as long as `setTimeLimit` said. */
  onTimeout(): void;
  /** The client sent a line of more than any command can have. */
  onEndlessLine(): void;
  /** The socket is closed; nothing follows. */
  onClose(): void;
  /** A bug of ours: the session can't go on. */
  onFailure(error: unknown): void;
}

/** A client's connection: lines and content in, replies out. */
export interface Connection {
  /** Whether the client has sent more than what was handed out so far. */
  readonly hasInput: boolean;
  readonly isOpen: boolean;
  /** Begins to read. */
  start(): void;
  /** Sends whole reply lines; what is sent in one turn of the event loop leaves together. */
  write(text: string): void;
  /** What follows the line at hand is content, until `reader` has found its end. */
  expectContent(reader: ContentReader): void;
  setTimeLimit(seconds: number): void;
  /** Sends what is written, and closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/**
 * smtp-server wants a server behind each connection. Ours never listens (the skeleton does) and
 * builds no TLS context until there is a certificate to build it with: the first costs 47 ms.
 */
class SilentServer extends SMTPServer {
  constructor() {
    super({ logger: false, hideSTARTTLS: true, authOptional: true });
  }
  override updateSecureContext(): void {}
}

let server: SilentServer | undefined;

/** Puts smtp-server's connection around a socket. Nothing is read before `start`. */
export function openConnection(socket: Socket, events: ConnectionEvents): Connection {
  server ??= new SilentServer();
  return new SmtpdConnection(server, socket, events);
}

class SmtpdConnection extends SMTPConnection implements Connection {
  readonly #events: ConnectionEvents;
  #unsent = '';
  #flushing = false;
  #timer: Timer | undefined;
  #limitMs = 0;
  #ended = false;

  constructor(owner: SilentServer, socket: Socket, events: ConnectionEvents) {
    super(owner, socket);
    this.#events = events;
    // The base class has made its own parser already, before our fields were there.
    this._parser = this.#makeParser();
  }

  get hasInput(): boolean {
    return this._parser instanceof LineParser && this._parser.hasInput;
  }

  get isOpen(): boolean {
    return !this.#ended && !this._socket.destroyed;
  }

  start(): void {
    const parser = this._parser;
    if (!parser || this._socket.destroyed) return;
    this._socket.on('close', () => this.#closed());
    this._socket.on('error', () => this._socket.destroy());
    this._socket.on('data', () => this.#progress());
    // Its errors are our own limits; a client that leaves is told by `close`.
    this._socket.pipe(parser);
    this.#progress();
  }

  write(text: string): void {
    this.#unsent += text;
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  expectContent(reader: ContentReader): void {
    if (this._parser instanceof LineParser) this._parser.expectContent(reader);
  }

  setTimeLimit(seconds: number): void {
    this.#limitMs = seconds * 1000;
    this.#progress();
  }

  end(): void {
    if (this.#ended) return;
    this.#flush();
    this.#ended = true;
    this.close();
  }

  destroy(): void {
    this.#ended = true;
    this._socket.destroy();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#unsent === '' || !this.isOpen) return;
    this._socket.write(this.#unsent, 'utf8');
    this.#unsent = '';
  }

  /** The client did something, so it has its whole time again. */
  #progress(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    if (this.#limitMs > 0 && this.isOpen) {
      this.#timer = after(this.#limitMs, () => this.#events.onTimeout());
    }
  }

  #closed(): void {
    this.#ended = true;
    this.#timer?.stop();
    if (this._parser) this._parser.isClosed = true;
    this._onClose();
    this.#events.onClose();
  }

  #makeParser(): LineParser {
    const parser = new LineParser({
      line: (line, bare) => this.#events.onLine(line, bare),
      content: (records) => this.#events.onContent(records),
      contentEnd: () => this.#events.onContentEnd(),
      ready: (next) => this.#whenRead(next),
      failed: (error) => this.#events.onFailure(error),
    });
    parser.on('error', () => this.#events.onEndlessLine());
    return parser;
  }

  /** A client that sends commands and reads no replies has to wait for itself. */
  #whenRead(next: () => void): void {
    this.#flush();
    if (this._socket.writableLength > UNSENT_BYTES_MAX && !this._socket.destroyed) {
      this._socket.once('drain', next);
      return;
    }
    next();
  }
}

interface ParserEvents {
  line(line: Buffer, bareLineFeed: boolean): Promise<void> | void;
  content(records: Buffer): Promise<void> | void;
  contentEnd(): Promise<void> | void;
  ready(next: () => void): void;
  failed(error: unknown): void;
}

/** smtp-server's line splitter; the content of a message goes through a reader of ours. */
class LineParser extends SMTPStream {
  readonly #events: ParserEvents;
  #reader: ContentReader | undefined;
  #inLine = false;
  /** For each line end of the input that is being split: whether it lacks its CR. */
  #lineEnds: boolean[] = [];
  /** The input so far ends with a CR, whose LF may be in the next piece. */
  #endsWithReturn = false;

  constructor(events: ParserEvents) {
    super({ maxCommandLength: COMMAND_BYTES_MAX });
    this.#events = events;
    this.oncommand = (line, next) => this.#onLine(line, next ?? (() => {}));
  }

  /** More of the client's input waits behind the line at hand. */
  get hasInput(): boolean {
    return this.#lineEnds.length > 0;
  }

  expectContent(reader: ContentReader): void {
    this.#reader = reader;
    this.#lineEnds = [];
    this._dataMode = true;
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding | 'buffer',
    next: (error?: Error | null) => void,
  ) {
    if (!this._dataMode) this.#noteLineEnds(chunk);
    super._write(chunk, encoding, next);
  }

  #noteLineEnds(chunk: Buffer): void {
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) {
      const hasReturn = at === 0 ? this.#endsWithReturn : chunk[at - 1] === CR;
      this.#lineEnds.push(!hasReturn);
    }
    this.#endsWithReturn = chunk[chunk.length - 1] === CR;
  }

  override _feedDataStream(chunk: Buffer, done: (error?: Error | null) => void): void {
    const reader = this.#reader;
    if (reader === undefined) {
      done();
      return;
    }
    const { records, ended, rest } = reader.push(chunk);
    const proceed = () => {
      if (!ended) {
        done();
        return;
      }
      this.#reader = undefined;
      this._dataMode = false;
      this._remainder = '';
      this.#settle(this.#events.contentEnd(), () => {
        if (rest.length === 0 || this.isClosed) done();
        else this._write(rest, 'buffer', done);
      });
    };
    this.#settle(records.length === 0 ? undefined : this.#events.content(records), proceed);
  }

  /** A line that the connection's end cut off is not a command. */
  override _flushData(): void {}

  #onLine(line: Buffer, next: () => void): void {
    if (this.#inLine) return;
    this.#inLine = true;
    const bare = this.#lineEnds.shift() ?? false;
    this.#settle(this.#events.line(line, bare), () => {
      this.#inLine = false;
      this.#events.ready(next);
    });
  }

  /** Goes on when `work` is done: now, if it is. A failure is a bug, and ends the session. */
  #settle(work: Promise<void> | void, next: () => void): void {
    if (work === undefined) next();
    else work.then(next, (error: unknown) => this.#events.failed(error));
  }
}
