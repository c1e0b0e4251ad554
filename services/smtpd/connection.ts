/**
 * The only file that knows smtp-server: its connection owns the socket, and closes it with a deadline.
 * What the client sends goes through a reader of ours, one command at a time, and what a command means
 * and answers is the session's: the package's own commands are never reached. Nor is its upgrade to
 * TLS, which chooses certificates anew in the middle of the handshake, at a tenth of its price.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { after, monotonic, type Timer } from '../../lib/clock/clock.ts';
import { type Destination, LightSocket } from '../../lib/net/light-socket.ts';
import { withoutStackTraces } from '../../lib/os/error.ts';
import { beginTls, beginTlsOn, untilSecure } from '../../lib/tls/accept.ts';
import { type ClientHello, parseClientHello } from '../../lib/tls/client-hello.ts';
import { readClientHello } from '../../lib/tls/hello-reader.ts';
import type { SecureContext, TLSSocket } from '../../lib/tls/server-context.ts';
import { CommandInput, type Line } from './command-input.ts';
import type { ContentInput } from './content-reader.ts';

/** Bytes of replies that may wait for a client that does not read them. */
const UNSENT_BYTES_MAX = 64 * 1024;
/** For a client to take its last reply, when there is TLS. */
const CLOSE_MS = 5000;
/** For the system to take what we have for a client that says no more. */
const ENDED_MS = 100;
/** Commands of one client in a row; then it is the others' turn. */
const COMMANDS_PER_TURN = 100;

/** What a session is told about its client. What returns a promise is waited for. */
export interface ConnectionEvents {
  onLine(line: Line): Promise<void> | void;
  /** A piece of content as records. */
  onContent(records: Buffer): Promise<void> | void;
  onContentEnd(): Promise<void> | void;
  /** The client will send no more. */
  onInputEnd(): void;
  /** Nothing came for as long as the limit said. */
  onTimeout(): void;
  /** The client sent a line of more than any command can have. */
  onEndlessLine(): void;
  /** The socket is closed; nothing follows. */
  onClose(): void;
  /** A bug of ours: the session can't go on. */
  onFailure(error: unknown): void;
}

export interface TimeLimit {
  readonly seconds: number;
  /** For a whole command, and not for each piece of it. */
  readonly perRequest: boolean;
  /** What a client has to send per second, then, to have more time for its content. */
  readonly bytesPerSecond: number;
}

/** How TLS is to be started. */
export interface Handshake {
  readonly limitMs: number;
  /** There was no plain text before: what has come already is the beginning of TLS. */
  readonly isWrapped: boolean;
  readonly asksForCertificate: boolean;
  /** What the client is served with; when it throws, the connection closes. */
  choose(hello: ClientHello | undefined): Promise<SecureContext>;
  /** Told why there is no TLS: `lost connection`, `Connection timed out`, or an error. */
  onFailure(why: unknown): void;
}

/** A connection that nobody else can read. */
export interface Secured {
  readonly socket: TLSSocket;
  readonly hello: ClientHello | undefined;
}

/** A client's connection: lines and content in, replies out. */
export interface Connection {
  /** What the client has sent beyond the line at hand. */
  readonly pending: Buffer;
  readonly hasPending: boolean;
  readonly isOpen: boolean;
  /**
   * Takes in what the client sends, which waits for `start`; it hears what is said already.
   *
   * @param isWrapped all that the client sends is TLS, and left for that
   */
  open(isWrapped: boolean): Promise<void>;
  /** Hands out commands from now on. */
  start(): void;
  /** Sends whole reply lines; those to commands that came together leave together. */
  write(text: string): void;
  /** What follows the line at hand is content, until `reader` has found its end. */
  expectContent(reader: ContentInput): void;
  setTimeLimit(limit: TimeLimit): void;
  /** Bytes of a line, from now on. */
  setLineLimit(bytes: number): void;
  /**
   * Sends what is written, and goes on with TLS: while a command is at hand. Whatever came in plain
   * text after that command is dropped.
   *
   * @returns `undefined` when the connection has ended instead; `onFailure` knows why
   */
  startTls(handshake: Handshake): Promise<Secured | undefined>;
  /**
   * Sends what is written, and closes.
   *
   * @param agreed the client has said all that it will say: it need not be listened to any more
   */
  end(agreed: boolean): void;
}

/**
 * smtp-server wants a server behind each connection. Ours never listens (the skeleton does) and
 * builds no TLS context until there is a certificate to build it with: the first costs 47 ms.
 */
class SilentServer extends SMTPServer {
  constructor() {
    // Its own name it would ask the system for, for each client.
    super({ name: 'smtpd', logger: false, hideSTARTTLS: true, authOptional: true });
  }
  override updateSecureContext(): void {}
}

let server: SilentServer | undefined;

/**
 * Puts smtp-server's connection around a socket.
 *
 * @param lineLimit bytes of a command line
 */
export function openConnection(
  socket: Socket,
  lineLimit: number,
  events: ConnectionEvents,
): Connection {
  server ??= new SilentServer();
  return new SmtpdConnection(server, socket, lineLimit, events);
}

const DONE: Promise<void> | void = undefined;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** No whole line is there, or no content. */
const STARVED = 'starved';

class SmtpdConnection extends SMTPConnection implements Connection {
  readonly #events: ConnectionEvents;
  readonly #input: CommandInput;
  /** TLS is being started: told once why it can't be. */
  #failHandshake: ((why: unknown) => void) | undefined;
  #reader: ContentInput | undefined;
  /** A command is under way, or something else comes before the next. */
  #isBusy = true;
  /** It is the client who must take our replies first. */
  #isChoked = false;
  #inputEnded = false;
  #isSecured = false;
  #ended = false;
  #unsent = '';
  #limit: TimeLimit | undefined;
  #timer: Timer | undefined;
  #expiresAt = 0;

  constructor(owner: SilentServer, socket: Socket, lineLimit: number, events: ConnectionEvents) {
    // The package's own id is 10 random bytes that nobody asks for.
    super(owner, socket, { id: 'smtpd' });
    this.#events = events;
    this.#input = new CommandInput(lineLimit);
  }

  /** Called by the base class, before any field of ours is there. */
  override _createParser(): SMTPStream {
    return new Intake(this) as unknown as SMTPStream;
  }

  /** The socket, as long as it is none of Node's. */
  get _lightSocket(): LightSocket | undefined {
    const socket: unknown = this._socket;
    return socket instanceof LightSocket ? socket : undefined;
  }

  get pending(): Buffer {
    return this.#input.pending;
  }

  get hasPending(): boolean {
    return this.#input.hasPending;
  }

  get isOpen(): boolean {
    return !this.#ended && !this._socket.destroyed;
  }

  async open(isWrapped: boolean): Promise<void> {
    const socket = this._socket;
    this.#own(socket);
    const light = this._lightSocket;
    if (light !== undefined && isWrapped) return;
    if (this._parser) socket.pipe(this._parser);
    if (socket.destroyed) this.#close();
    if (light !== undefined) return;
    // In the first turn the event loop learns of the socket, in the second it reads.
    await turn();
    await turn();
  }

  #own(socket: Socket): void {
    socket.on('close', () => this.#close());
    socket.on('error', () => socket.destroy());
  }

  start(): void {
    this.#resume();
  }

  write(text: string): void {
    this.#unsent += text;
    if (!this.#isBusy) this.#flush();
  }

  expectContent(reader: ContentInput): void {
    this.#reader = reader;
  }

  setTimeLimit(limit: TimeLimit): void {
    this.#limit = limit;
    this.#grantTime();
    this.#timer ??= after(limit.seconds * 1000, this.#onTimer);
  }

  setLineLimit(bytes: number): void {
    this.#input.limit = bytes;
  }

  async startTls(handshake: Handshake): Promise<Secured | undefined> {
    this.#flush();
    if (this._parser) this._socket.unpipe(this._parser);
    this.#failHandshake = (why) => {
      this.#failHandshake = undefined;
      handshake.onFailure(why);
      this._socket.destroy();
    };
    const limit = after(handshake.limitMs, () => this.#failHandshake?.('Connection timed out'));
    try {
      const hello = await this.#awaitHello(handshake.isWrapped);
      if (!this.isOpen) return undefined;
      const context = await handshake.choose(hello);
      if (!this.isOpen) return undefined;
      const socket = await this.#upgrade(context, handshake.asksForCertificate);
      return { socket, hello };
    } catch (error) {
      this.#failHandshake?.(error);
      return undefined;
    } finally {
      limit.stop();
      this.#failHandshake = undefined;
    }
  }

  /** Waits for the ClientHello, and leaves it where OpenSSL will read it. */
  async #awaitHello(isWrapped: boolean): Promise<ClientHello | undefined> {
    const early = this.#input.takeAll();
    const light = this._lightSocket;
    if (light !== undefined) {
      // Most come in one piece, and have come by now.
      let hello = parseClientHello(light.peek());
      if (hello === 'more') {
        await light.untilReadable();
        if (light.destroyed) return undefined;
        hello = parseClientHello(light.peek());
      }
      if (hello !== 'more') return hello;
    }
    const socket = this.#takeOver();
    if (light !== undefined) this.#own(socket);
    if (light === undefined && !isWrapped) while (socket.read() !== null);
    else if (early.length > 0 && isWrapped) socket.unshift(early);
    const hello = await readClientHello(socket);
    if (hello === undefined && socket.readableEnded) this.#failHandshake?.('lost connection');
    return hello;
  }

  /** One of Node's own sockets, with what was written before. */
  #takeOver(): Socket {
    const light = this._lightSocket;
    if (light === undefined || light.destroyed) return this._socket;
    this._socket = light.takeOver();
    return this._socket;
  }

  /** From here on nothing reaches us that was plain text: what has come of it is dropped. */
  async #upgrade(context: SecureContext, asksForCertificate: boolean): Promise<TLSSocket> {
    this.#input.takeAll();
    const secured = this.#beginTls(context, asksForCertificate);
    this._socket = secured;
    this.#own(secured);
    await untilSecure(secured);
    this.#isSecured = true;
    this.#readFrom(secured);
    return secured;
  }

  #beginTls(context: SecureContext, asksForCertificate: boolean): TLSSocket {
    const fd = this._lightSocket?.takeDescriptor();
    if (fd !== undefined) {
      try {
        return beginTlsOn(fd, context, asksForCertificate);
      } catch (error) {
        // Nothing is left that would tell of the end.
        process.nextTick(() => this.#close());
        throw error;
      }
    }
    const plain = this.#takeOver();
    // The one on top of it speaks for both.
    for (const event of ['close', 'error']) plain.removeAllListeners(event);
    return beginTls(plain, context, asksForCertificate);
  }

  /** As `pipe` does, without all that it does for streams. */
  #readFrom(socket: TLSSocket): void {
    if (!this._parser) return;
    this._parser.on('drain', () => socket.resume());
    socket.on('data', (chunk: Buffer) => {
      if (!this.take(chunk)) socket.pause();
    });
    socket.on('end', () => this.endInput());
  }

  end(agreed: boolean): void {
    if (this.#ended) return;
    this.#flush();
    this.#ended = true;
    this.#timer?.stop();
    // To close with input that nobody has read would reset the connection, and our last reply with it.
    if (this.#isSecured) this.#endSecured(agreed);
    else if (!agreed || this.hasPending) this.close();
    // The system has it all, and closing sends the rest of it.
    else if (this._socket.writableLength === 0) this._socket.destroy();
    else this._socket.destroySoon();
  }

  /**
   * Node never tells what becomes of writes to a client that left before it had read our tickets: who
   * has ended its input gets no more than is on its way.
   */
  #endSecured(agreed: boolean): void {
    const socket = this._socket;
    if (this.#inputEnded && socket.writableLength === 0) {
      socket.destroy();
      return;
    }
    this.#timer = after(this.#inputEnded ? ENDED_MS : CLOSE_MS, () => socket.destroy());
    if (agreed || this.#inputEnded) socket.destroySoon();
    else this.close();
  }

  /** @returns whether more may come at once */
  take(chunk: Buffer): boolean {
    if (!this.isOpen) return true;
    this.#noteProgress(chunk.length);
    this.#input.push(chunk);
    if (!this.#isBusy) this.#proceed();
    return !this.#isBusy;
  }

  endInput(): void {
    this.#inputEnded = true;
    if (!this.#isBusy) this.#proceed();
  }

  /** Takes one command after the other, until there are none, or one takes its time. */
  #proceed(): void {
    for (let count = 0; this.isOpen; count += 1) {
      if (count === COMMANDS_PER_TURN) {
        this.#isBusy = true;
        setImmediate(this.#resume);
        break;
      }
      this.#isBusy = true;
      const work = this.#step();
      if (work instanceof Promise) {
        work.then(this.#resume, this.#onFailure);
        return;
      }
      this.#isBusy = false;
      if (work === STARVED) break;
    }
    this.#flush();
    this.#waitForReader();
    if (this.#inputEnded && !this.#isBusy && this.isOpen) this.#events.onInputEnd();
  }

  readonly #resume = (): void => {
    this.#isBusy = false;
    this.#isChoked = false;
    this.#grantTime();
    this.#proceed();
    if (!this.#isBusy && this._parser) this._parser.emit('drain');
  };

  readonly #onFailure = (error: unknown): void => {
    this.#isBusy = false;
    this.#events.onFailure(error);
  };

  #step(): Promise<void> | void | typeof STARVED {
    try {
      if (this.#reader !== undefined) return this.#takeContent(this.#reader);
      const line = this.#input.next();
      if (line !== undefined) return this.#events.onLine(line);
      if (this.#input.isEndless) this.#events.onEndlessLine();
    } catch (error) {
      this.#events.onFailure(error);
    }
    return STARVED;
  }

  #takeContent(reader: ContentInput): Promise<void> | void | typeof STARVED {
    if (!this.#input.hasPending) return STARVED;
    const { records, ended, rest } = reader.push(this.#input.takeAll());
    const written = records.length === 0 ? DONE : this.#events.onContent(records);
    if (!ended) return written;
    this.#reader = undefined;
    if (rest.length > 0) this.#input.push(rest);
    return written instanceof Promise
      ? written.then(() => this.#events.onContentEnd())
      : this.#events.onContentEnd();
  }

  #flush(): void {
    if (this.#unsent === '' || !this.isOpen) return;
    const light = this._lightSocket;
    // Clients that have left are many, and what Node throws for each would be for nobody to see.
    if (light === undefined) withoutStackTraces(() => this._socket.write(this.#unsent));
    else light.write(this.#unsent);
    this.#unsent = '';
  }

  /** A client that sends commands and reads no replies has to wait for itself. */
  #waitForReader(): void {
    if (this.#isBusy || this._socket.writableLength <= UNSENT_BYTES_MAX || !this.isOpen) return;
    this.#isBusy = true;
    this.#isChoked = true;
    this._socket.once('drain', this.#resume);
  }

  /** The client has its whole time again. */
  #grantTime(): void {
    if (this.#limit !== undefined) this.#expiresAt = monotonic() + this.#limit.seconds * 1000;
  }

  #noteProgress(bytes: number): void {
    if (this.#limit?.perRequest !== true) {
      this.#grantTime();
    } else if (this.#reader !== undefined) {
      const { seconds, bytesPerSecond } = this.#limit;
      const earned = this.#expiresAt + (bytes * 1000) / bytesPerSecond;
      this.#expiresAt = Math.min(earned, monotonic() + seconds * 1000);
    }
  }

  /** The timer runs on from one command to the next: starting one costs. */
  readonly #onTimer = (): void => {
    if (!this.isOpen || this.#limit === undefined) return;
    const isOurTurn = this.#isBusy && !this.#isChoked;
    const remaining = isOurTurn ? this.#limit.seconds * 1000 : this.#expiresAt - monotonic();
    if (remaining > 0) this.#timer = after(remaining, this.#onTimer);
    else this.#events.onTimeout();
  };

  #close(): void {
    this.#failHandshake?.('lost connection');
    this.#ended = true;
    this.#timer?.stop();
    this._onClose();
    this.emit('close');
    this.#events.onClose();
    if (!this.#isSecured) return;
    this._socket.removeAllListeners();
    this._socket.on('error', () => {});
  }
}

/**
 * What the socket is piped into. It hands everything on as it comes, and says so when the client has to
 * wait: nothing is ever kept here.
 */
class Intake extends EventEmitter implements Destination {
  /** Set by the package. */
  isClosed = false;
  readonly #connection: SmtpdConnection;

  constructor(connection: SmtpdConnection) {
    super();
    this.#connection = connection;
  }

  write(chunk: Buffer): boolean {
    return this.#connection.take(chunk);
  }

  /** What is left of the input is no whole line. */
  end(): void {
    this.#connection.endInput();
  }
}
