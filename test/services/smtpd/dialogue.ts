/** A client of a test: says what its script has, and remembers what it was told. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect as secure, type TLSSocket } from 'node:tls';
import { withDeadline } from '../../../lib/async/deadline.ts';
import { atEnd } from '../../support/cleanup.ts';
import { PATIENCE_MS } from '../../support/condition.ts';

/** A string is a command: it is sent as a line, and waits for its reply. */
export type Step = string | Bytes | Secure | 'half-close' | 'await end';

/** From here on it speaks TLS; and how many replies to wait for then. */
export interface Secure {
  readonly tls: ConnectionOptions;
  readonly replies?: number;
}

/** Any bytes, and how many replies to wait for after them. */
export interface Bytes {
  readonly bytes: string;
  readonly replies: number;
}

export const send = (bytes: string, replies = 1): Bytes => ({ bytes, replies });

export interface Door {
  readonly port: number;
  readonly host?: string;
  /** The client's own address. */
  readonly from?: string;
}

/** A whole reply: lines that go on, then the last one. */
const REPLY = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/;

/** One connection to an SMTP server, step by step. Bytes are latin1, both ways. */
export class Dialogue {
  socket: Socket;
  /** The last one that a server gave. */
  session: Buffer | undefined;
  /** Each reply as it came, without the last line end. */
  readonly replies: string[] = [];
  #unparsed = '';
  #ended = false;
  #changed = () => {};

  constructor({ port, host = '127.0.0.1', from = '127.0.0.1' }: Door) {
    this.socket = connect({ port, host, localAddress: from, allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.#listen();
  }

  #listen(): void {
    this.socket.on('data', (chunk: Buffer) => this.#take(chunk.toString('latin1')));
    for (const event of ['error', 'end', 'close']) this.socket.on(event, () => this.#end());
  }

  /** Whether TLS came about, replies or the end tell. */
  async #secure(options: ConnectionOptions): Promise<void> {
    const plain = this.socket;
    plain.removeAllListeners();
    plain.on('error', () => {});
    plain.pause();
    const socket: TLSSocket = secure({ rejectUnauthorized: false, ...options, socket: plain });
    this.socket = socket;
    socket.on('session', (session: Buffer) => {
      this.session = session;
    });
    this.#listen();
    const settled = () =>
      new Promise<void>((resolve) => {
        for (const event of ['secureConnect', 'close']) socket.once(event, () => resolve());
      });
    await withDeadline(PATIENCE_MS, undefined, settled, 'a TLS handshake');
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** What came that is no whole reply. */
  get rest(): string {
    return this.#unparsed;
  }

  /** All replies, and what came besides; of a handshake no two are the same. */
  get heard(): string[] {
    const rest = this.rest.startsWith('\x16\x03') ? 'TLS' : this.rest;
    return rest === '' ? this.replies : [...this.replies, rest];
  }

  /** Waits until so many replies have come in all, or the server has closed. */
  expect(count: number): Promise<void> {
    const last = this.replies.at(-1);
    return this.#until(
      `reply ${count}; the last was ${last}`,
      () => this.replies.length >= count || this.#ended,
    );
  }

  awaitEnd(): Promise<void> {
    return this.#until('the end of the connection', () => this.#ended);
  }

  /** Returns when the system has it. */
  async say(bytes: string): Promise<void> {
    await new Promise((resolve) => this.socket.write(bytes, 'latin1', resolve));
  }

  async play(step: Step): Promise<void> {
    if (step === 'half-close') this.socket.end();
    else if (step === 'await end') await this.awaitEnd();
    else if (typeof step === 'string') await this.play(send(`${step}\r\n`));
    else if ('tls' in step) {
      const before = this.replies.length;
      await this.#secure(step.tls);
      await this.expect(before + (step.replies ?? 0));
    } else {
      const before = this.replies.length;
      if (!this.#ended) this.socket.write(step.bytes, 'latin1');
      await this.expect(before + step.replies);
    }
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    const closed = once(this.socket, 'close');
    this.socket.destroySoon();
    await closed;
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    if (done()) return;
    const wait = () =>
      new Promise<void>((resolve) => {
        this.#changed = () => done() && resolve();
      });
    await withDeadline(PATIENCE_MS, undefined, wait, what);
  }

  #take(text: string): void {
    this.#unparsed += text;
    for (let found = REPLY.exec(this.#unparsed); found; found = REPLY.exec(this.#unparsed)) {
      this.#unparsed = this.#unparsed.slice(found[0].length);
      this.replies.push(found[0].replace(/\r?\n$/, ''));
    }
    this.#changed();
  }

  #end(): void {
    this.#ended = true;
    this.#changed();
  }
}

/** A client that has been greeted; it is gone when the test ends. */
export async function meet(t: TestContext, door: Door): Promise<Dialogue> {
  const dialogue = new Dialogue(door);
  atEnd(t, () => dialogue.socket.destroy());
  await dialogue.expect(1);
  return dialogue;
}

/** Sends commands, each when the one before was answered. @returns the last reply */
export async function command(dialogue: Dialogue, ...lines: readonly string[]): Promise<string> {
  for (const line of lines) await dialogue.play(line);
  return dialogue.replies.at(-1) ?? '';
}

/** Plays a whole script, after the greeting unless it is `early`. @returns all replies */
export async function converse(
  door: Door,
  steps: readonly Step[],
  { early = false } = {},
): Promise<string[]> {
  const dialogue = new Dialogue(door);
  try {
    if (!early) await dialogue.expect(1);
    for (const step of steps) await dialogue.play(step);
  } finally {
    await dialogue.close();
  }
  return dialogue.heard;
}
