/**
 * A client's connection that does without Node's own sockets: as much of a `net.Socket` as a session
 * in plain text needs, for a third of the time. For TLS it becomes one of Node's.
 */
import { EventEmitter } from 'node:events';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { epoll, READABLE, WRITABLE } from '../os/epoll.ts';
import {
  endpointOf,
  type InetEndpoint,
  peekInto,
  receiveInto,
  sendFrom,
  shutdownWrite,
} from '../os/stream.ts';

/** Where input goes: what of a stream `pipe` needs. */
export interface Destination {
  /** @returns whether more may come at once; otherwise, `drain` says when */
  write(chunk: Buffer): boolean;
  end(): void;
  on(event: 'drain', listener: () => void): unknown;
  off(event: 'drain', listener: () => void): unknown;
}

/** As much is read at once; what is read is copied, so that nobody holds all of it for long. */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);
/** Replies are written from here; longer ones have a buffer of their own. */
const OUTPUT = Buffer.allocUnsafeSlow(16 * 1024);
const NOWHERE: InetEndpoint = { address: '', port: 0 };
/** Of a character in UTF-8. */
const BYTES_MAX = 3;

/** Emits `close`, and `drain` when the client has taken what it was slow to take. */
export class LightSocket extends EventEmitter {
  readonly #fd: number;
  readonly #remote: InetEndpoint;
  #local: InetEndpoint | undefined;
  #destination: Destination | undefined;
  /** Nobody takes input now. */
  #isPaused = true;
  #inputEnded = false;
  /** Nothing more will be written. */
  #isEnding = false;
  #closesWhenSent = false;
  /** What epoll waits for; 0: it does not know of us. */
  #awaited = 0;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  /** Somebody waits for input that is to stay where it is. */
  #onPeek: (() => void) | undefined;
  destroyed = false;

  /** @param local where the client has connected to; asked for when it is not told */
  constructor(fd: number, remote: InetEndpoint, local?: InetEndpoint) {
    super();
    this.#fd = fd;
    this.#remote = remote;
    this.#local = local;
  }

  get remoteAddress(): string {
    return this.#remote.address;
  }

  get remotePort(): number {
    return this.#remote.port;
  }

  get localAddress(): string {
    return this.#here.address;
  }

  get localPort(): number {
    return this.#here.port;
  }

  get #here(): InetEndpoint {
    // The number of what is closed may be somebody else's by now.
    if (!this.destroyed) this.#local ??= endpointOf(this.#fd);
    return this.#local ?? NOWHERE;
  }

  get writable(): boolean {
    return !this.#isEnding && !this.destroyed;
  }

  /** Bytes that wait for the client to take them. */
  get writableLength(): number {
    return this.#unsentBytes;
  }

  /** Hands input on from now on: at once what has come already. */
  pipe(destination: Destination): void {
    if (this.destroyed) return;
    this.#destination = destination;
    destination.on('drain', this.#onDrain);
    this.#isPaused = false;
    this.#read();
    this.#await();
  }

  unpipe(): void {
    this.#destination?.off('drain', this.#onDrain);
    this.#destination = undefined;
    this.#isPaused = true;
  }

  /** Reads on; without a destination, to drop what comes. */
  resume(): void {
    this.#isPaused = false;
    this.#await();
  }

  /** Resolves when there is something to read, be it the end; or when the socket is closed. */
  untilReadable(): Promise<void> {
    return new Promise((resolve) => {
      this.#onPeek = resolve;
      this.resume();
      if (this.destroyed) resolve();
    });
  }

  /** What has come, at most 64 KB of it; it stays to be read. Nothing at the end, or without a peer. */
  peek(): Buffer {
    const count = this.destroyed ? 0 : (peekInto(this.#fd, INPUT) ?? 0);
    return Buffer.from(INPUT.subarray(0, Math.max(0, count)));
  }

  /** @returns whether the system has taken all of it */
  write(text: string): boolean {
    if (!this.writable) return false;
    const isShort = text.length * BYTES_MAX <= OUTPUT.length;
    const bytes = isShort ? OUTPUT : Buffer.from(text);
    const length = isShort ? OUTPUT.write(text) : bytes.length;
    const sent = this.#unsentBytes > 0 ? 0 : sendFrom(this.#fd, bytes, length);
    if (sent < 0) this.destroy();
    else if (sent < length) this.#keep(Buffer.from(bytes.subarray(sent, length)));
    return sent === length;
  }

  /** Says that nothing more will be written, when all is sent. */
  end(): void {
    if (!this.writable) return;
    this.#isEnding = true;
    if (this.#unsentBytes === 0) this.#finish();
  }

  destroySoon(): void {
    this.#closesWhenSent = true;
    this.end();
    if (this.#unsentBytes === 0) this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.#release();
    closeSync(this.#fd);
    process.nextTick(() => this.emit('close', false));
  }

  /** The connection as one of Node's; this object has nothing to do with it any more. */
  takeOver(): Socket {
    const unsent = this.#unsent;
    this.#detach();
    const options = { fd: this.#fd, readable: true, writable: true, allowHalfOpen: true };
    const socket = new Socket(options);
    for (const bytes of unsent) socket.write(bytes);
    return socket;
  }

  /**
   * The bare connection; this object has nothing to do with it any more.
   *
   * @returns `undefined` when it is closed, or when the client is slow to take what was written
   */
  takeDescriptor(): number | undefined {
    if (this.destroyed || this.#unsentBytes > 0) return undefined;
    this.#detach();
    return this.#fd;
  }

  #detach(): void {
    if (this.#awaited !== 0) epoll().remove(this.#fd);
    this.#awaited = 0;
    this.#release();
    this.removeAllListeners();
  }

  #release(): void {
    this.destroyed = true;
    if (this.#awaited !== 0) epoll().forget(this.#fd);
    this.#awaited = 0;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.unpipe();
    this.#onPeek?.();
    this.#onPeek = undefined;
  }

  readonly #onDrain = (): void => {
    if (this.#isPaused) this.resume();
  };

  readonly #onReady = (events: number): void => {
    // Trouble, or the end of both directions, is for whoever tries.
    if (this.#unsentBytes > 0 && events !== READABLE) this.#sendRest();
    if (this.destroyed || events === WRITABLE) return;
    if (this.#onPeek !== undefined) this.#endPeek();
    else if (!this.#isPaused && !this.#inputEnded) this.#read();
    // Who waits for nothing is not told of anything, or would be told for ever.
    else this.#await();
  };

  #endPeek(): void {
    this.#isPaused = true;
    this.#await();
    this.#onPeek?.();
    this.#onPeek = undefined;
  }

  #read(): void {
    const count = receiveInto(this.#fd, INPUT);
    if (count === undefined) return;
    if (count < 0) this.destroy();
    else if (count === 0) this.#endInput();
    else if (this.#destination !== undefined) {
      const chunk = Buffer.from(INPUT.subarray(0, count));
      // It is noted first: whoever takes it may be done with it, and say so, before they return.
      this.#isPaused = true;
      const destination = this.#destination;
      if (destination.write(chunk) && this.#destination === destination) this.#isPaused = false;
    }
  }

  #endInput(): void {
    this.#inputEnded = true;
    this.#await();
    this.#destination?.end();
    if (this.#isEnding && this.#unsentBytes === 0) this.destroy();
  }

  #keep(bytes: Buffer): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    this.#await();
  }

  #sendRest(): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const sent = sendFrom(this.#fd, first, first.length);
      if (sent < 0) {
        this.destroy();
        return;
      }
      this.#unsentBytes -= sent;
      if (sent < first.length) {
        this.#unsent[0] = first.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    this.#await();
    if (this.#isEnding) this.#finish();
    else this.emit('drain');
  }

  /** All is sent. */
  #finish(): void {
    if (this.#closesWhenSent || this.#inputEnded) this.destroy();
    else shutdownWrite(this.#fd);
  }

  #await(): void {
    if (this.destroyed) return;
    const wanted =
      (this.#isPaused || this.#inputEnded ? 0 : READABLE) | (this.#unsentBytes > 0 ? WRITABLE : 0);
    if (wanted === this.#awaited) return;
    const known = this.#awaited !== 0;
    this.#awaited = wanted;
    if (wanted === 0) epoll().remove(this.#fd);
    else if (known) epoll().change(this.#fd, wanted);
    else epoll().add(this.#fd, wanted, this.#onReady);
  }
}
