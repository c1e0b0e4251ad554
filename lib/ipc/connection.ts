import type { Socket } from 'node:net';
import { after, monotonic, type Timer } from '../clock/clock.ts';
import { connectTo } from '../net/connect.ts';
import { describeTrouble } from '../net/trouble.ts';
import { type Attribute, type Form, formatAttributes } from './attributes.ts';
import { IpcError } from './error.ts';
import type { Shape, Values } from './fields.ts';
import { Input } from './input.ts';
import { KEEP } from './keep.ts';
import { ListReader, type ReadOptions } from './list-reader.ts';

export interface ConnectionOptions {
  readonly form?: Form;
  /** Names the peer in messages: `private/rewrite socket`. */
  readonly peer?: string;
  /** The first bytes of a request have come. */
  readonly onRequest?: () => void;
  /** We are waiting for the next request. */
  readonly onIdle?: () => void;
}

/** Above this the peer has to wait until somebody reads what it has sent. */
const UNREAD_BYTES_MAX = 256 * 1024;

const NUL = 0;
const NEWLINE = 0x0a;

const DONE: Promise<void> = Promise.resolve();

/** What a waiter is told. */
type Arrival = 'bytes' | 'end' | 'timeout';

/**
 * Attribute lists and bytes over a socket, both ways. Each wait has the same time limit. Whoever
 * made the connection closes it, also after an error.
 */
export class IpcConnection {
  readonly socket: Socket;
  readonly peer: string;
  /** Set by a client that has found out that the server will keep the connection. */
  reusable = false;
  readonly #timeoutMs: number;
  readonly #form: Form;
  readonly #options: ConnectionOptions;
  readonly #input = new Input();
  #ended = false;
  #midList = false;
  #busy = false;
  #paused = false;
  #wake: ((arrival: Arrival) => void) | undefined;
  #drained: ((arrival: Arrival) => void) | undefined;
  #timer: Timer | undefined;
  #expiresAt = 0;

  constructor(socket: Socket, timeoutMs: number, options: ConnectionOptions = {}) {
    this.socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#options = options;
    this.#form = options.form ?? 'null';
    this.peer = options.peer ?? 'unknown socket';
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
    socket.on('error', this.#onEnd);
    socket.on('drain', this.#onDrain);
  }

  /**
   * Connects to a socket below the queue directory: `private/rewrite`.
   *
   * @throws {IpcError} `connect to private/rewrite: Connection refused`
   */
  static async connect(
    path: string,
    timeoutMs: number,
    options: ConnectionOptions = {},
  ): Promise<IpcConnection> {
    let socket: Socket;
    try {
      socket = await connectTo({ path }, { connectMs: timeoutMs });
    } catch (error) {
      throw new IpcError(`connect to ${path}: ${describeTrouble(error)}`, { cause: error });
    }
    return new IpcConnection(socket, timeoutMs, { peer: `${path} socket`, ...options });
  }

  /** Whether the peer is gone, or has said something that nobody asked for. */
  get isStale(): boolean {
    return this.#ended || this.#input.length > 0 || this.socket.destroyed;
  }

  /** Whether bytes are waiting: the request after this one has come already. */
  get hasInput(): boolean {
    return this.#input.length > 0;
  }

  /**
   * Sends bytes or a list with one write. Waits only when the peer is slow to take what was sent
   * before. A peer that has gone shows when we next receive.
   *
   * @throws {IpcError} when the peer takes nothing in time
   */
  send(message: Buffer | readonly Attribute[]): Promise<void> {
    if (this.socket.destroyed) return DONE;
    const bytes = Buffer.isBuffer(message)
      ? message
      : formatAttributes(message, { form: this.#form });
    if (this.socket.write(bytes) || this.#ended) return DONE;
    return this.#untilDrained();
  }

  /** The same; there is a promise only when the caller has to wait. For streams of bytes. */
  post(bytes: Buffer): Promise<void> | undefined {
    if (this.socket.destroyed || this.#ended) return undefined;
    return this.socket.write(bytes) ? undefined : this.#untilDrained();
  }

  /**
   * Receives one list.
   *
   * @returns `undefined` when the peer closed instead, before its first byte
   * @throws {IpcError} when it is not what was wanted, ends early, or takes too long
   */
  receive<S extends Shape>(
    shape: S,
    options?: ReadOptions & { missing?: false },
  ): Promise<Values<S> | undefined>;
  receive<S extends Shape>(shape: S, options: ReadOptions): Promise<Partial<Values<S>> | undefined>;
  async receive<S extends Shape>(
    shape: S,
    options: ReadOptions = {},
  ): Promise<Values<S> | undefined> {
    const reader = new ListReader(shape, options, this.#form, this.peer);
    const first = !this.#midList;
    if (first && this.#input.length === 0) this.#goIdle();
    while (!reader.read(this.#input)) {
      const unstarted = first && this.#input.length === 0 && reader.isUntouched;
      const arrival = await this.#arrival();
      if (arrival === 'bytes') continue;
      if (arrival === 'end' && unstarted) return undefined;
      throw this.#lost(arrival, reader.position);
    }
    this.#midList = options.more === true;
    this.#afterReading();
    return reader.values as Values<S>;
  }

  /** After a list that was read with `more`: whether it ends here; the terminator is consumed. */
  async atTerminator(): Promise<boolean> {
    while (this.#input.length === 0) {
      const arrival = await this.#arrival();
      if (arrival !== 'bytes') throw this.#lost(arrival, 'input attribute name');
    }
    const { bytes, start } = this.#input;
    if (bytes[start] !== (this.#form === 'plain' ? NEWLINE : NUL)) return false;
    this.#input.start += 1;
    this.#midList = false;
    return true;
  }

  /** Whatever comes next, of any size; `undefined` at the end. The bytes are the caller's. */
  async receiveBytes(): Promise<Buffer | undefined> {
    while (this.#input.length === 0) {
      const arrival = await this.#arrival();
      if (arrival === 'timeout') throw this.#lost(arrival, 'input');
      if (arrival === 'end') return undefined;
    }
    const bytes = this.#input.takeAll();
    this.#afterReading();
    return bytes;
  }

  /** Puts back what belongs to whoever receives next. */
  unread(bytes: Buffer): void {
    if (bytes.length > 0) this.#input.unread(bytes);
  }

  /** Waits until the peer closes; what it says before that is not of interest. */
  async awaitEnd(): Promise<void> {
    for (;;) {
      this.#input.clear();
      this.#afterReading();
      const arrival = await this.#arrival();
      if (arrival === 'timeout') throw this.#lost(arrival, 'end of input');
      if (arrival === 'end') return;
    }
  }

  /** A client, after the reply: whether the server goes on listening here. keep.ts */
  takeKeep(): boolean {
    const { bytes, start, length } = this.#input;
    this.reusable =
      !this.#ended &&
      length === KEEP.length &&
      bytes.compare(KEEP, 0, KEEP.length, start, start + length) === 0;
    if (this.reusable) this.#input.clear();
    return this.reusable;
  }

  /** Lets go of the socket, which is paused, and the caller's. @returns what has come already */
  detach(): Buffer {
    const { socket } = this;
    this.#timer?.stop();
    this.#timer = undefined;
    socket.off('data', this.#onData);
    for (const event of ['end', 'close', 'error']) socket.off(event, this.#onEnd);
    socket.off('drain', this.#onDrain);
    socket.pause();
    return this.#input.takeAll();
  }

  /** Closes once everything has been sent. Harmless when closed. */
  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    if (!this.socket.destroyed) this.socket.destroySoon();
  }

  /** A server that leaves: closes, unless a request is under way. */
  closeIfIdle(): void {
    if (!this.#busy) this.close();
  }

  /** Closes at once. */
  abort(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#input.append(chunk);
    if (!this.#busy) {
      this.#busy = true;
      this.#options.onRequest?.();
    }
    if (this.#wake === undefined && this.#input.length > UNREAD_BYTES_MAX) {
      this.#paused = true;
      this.socket.pause();
    }
    this.#settle('bytes');
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#settle('end');
    this.#onDrain();
  };

  readonly #onDrain = (): void => {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.('bytes');
  };

  #settle(arrival: Arrival): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.(arrival);
  }

  #goIdle(): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#options.onIdle?.();
  }

  #afterReading(): void {
    if (!this.#paused || this.#input.length > UNREAD_BYTES_MAX) return;
    this.#paused = false;
    this.socket.resume();
  }

  #arrival(): Promise<Arrival> {
    if (this.#ended) return Promise.resolve('end');
    this.#afterReading();
    this.#expect();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #untilDrained(): Promise<void> {
    this.#expect();
    const arrival = await new Promise<Arrival>((resolve) => {
      this.#drained = resolve;
    });
    if (arrival === 'timeout') throw new IpcError(`timeout on ${this.peer} while writing`);
  }

  /** Starts the time limit of a wait. The timer runs on from wait to wait: starting one costs. */
  #expect(): void {
    this.#expiresAt = monotonic() + this.#timeoutMs;
    if (this.#timer === undefined) this.#arm(this.#timeoutMs);
  }

  #arm(delayMs: number): void {
    this.#timer = after(delayMs, this.#onTimer).unref();
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#wake === undefined && this.#drained === undefined) return;
    const remaining = this.#expiresAt - monotonic();
    if (remaining > 0) {
      this.#arm(remaining);
      return;
    }
    this.#settle('timeout');
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.('timeout');
  };

  #lost(arrival: Arrival, position: string): IpcError {
    if (arrival === 'timeout')
      return new IpcError(`timeout on ${this.peer} while reading ${position}`);
    return new IpcError(`unexpected end-of-input from ${this.peer} while reading ${position}`);
  }
}
