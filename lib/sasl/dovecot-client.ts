/**
 * Dovecot's authentication protocol, as smtpd speaks it: one connection for all clients of a
 * process, whose requests have numbers. ipc.md 3.20; our own auth(8) speaks it, too.
 */
import type { Socket } from 'node:net';
import { DeadlineError, withDeadline } from '../async/deadline.ts';
import { after, monotonic, type Timer } from '../clock/clock.ts';
import type { Log } from '../log/log.ts';
import { describeTrouble } from '../net/trouble.ts';
import {
  type Fault,
  isBase64,
  type SaslBackEnd,
  type SaslExchange,
  type SaslRequest,
  type SaslStep,
  SaslTrouble,
} from './exchange.ts';
import { isProperty, type Mechanism } from './mechanism.ts';

/** The longest wait for the server. */
const LIMIT_MS = 10_000;
/** A challenge is at most this long; RFC 4422 knows no limit, Dovecot has 8192. */
const LINE_MAX = 64 * 1024;
const MECHANISMS_MAX = 100;
const VERSION_MAJOR = '1';
/** CANCEL is known since protocol 1.1. */
const CANCEL_MINOR = 1;

const LOST = 'Connection lost to authentication server';
const UNREACHABLE = "Can't connect to authentication server";

export interface DovecotOptions {
  /** Opens a connection. */
  readonly connect: () => Promise<Socket>;
  /** For messages: `private/auth`. */
  readonly address: string;
  /** What to look at when it is not there. */
  readonly hint?: string;
  readonly log: Log;
}

export class DovecotBackEnd implements SaslBackEnd {
  readonly #options: DovecotOptions;
  #connection: Promise<DovecotConnection> | undefined;
  /** It is one that can be used. */
  #isReady = false;
  /** The last that was tried came to nothing in all the time it had. */
  #isSlow = false;

  constructor(options: DovecotOptions) {
    this.#options = options;
  }

  async mechanisms(): Promise<readonly Mechanism[]> {
    return (await this.connection()).mechanisms;
  }

  begin(request: SaslRequest): SaslExchange {
    return new DovecotExchange(this, request);
  }

  explain(fault: Fault): string {
    return fault === 'mechanism'
      ? 'Invalid authentication mechanism'
      : `Invalid base64 data in ${fault} response`;
  }

  close(): void {
    this.#connection?.then(
      (connection) => connection.close(),
      () => {},
    );
  }

  /** The connection there is, or a new one. @throws {SaslTrouble} */
  connection(): Promise<DovecotConnection> {
    const opened = this.#connection ?? this.#begin();
    if (this.#isReady || !this.#isSlow) return opened;
    // A server that hung is tried again, but no client waits for that.
    opened.catch(() => {});
    return Promise.reject(new SaslTrouble(UNREACHABLE));
  }

  #begin(): Promise<DovecotConnection> {
    const opened = this.#open(() => {
      if (this.#connection !== opened) return;
      this.#connection = undefined;
      this.#isReady = false;
    });
    this.#connection = opened;
    return opened;
  }

  async #open(forget: () => void): Promise<DovecotConnection> {
    const { connect, address, hint = '', log } = this.#options;
    let socket: Socket | undefined;
    try {
      return await withDeadline(LIMIT_MS, undefined, async () => {
        socket = await connect();
        const connection = await DovecotConnection.greet(socket, forget);
        this.#isSlow = false;
        this.#isReady = true;
        return connection;
      });
    } catch (error) {
      socket?.destroy();
      forget();
      this.#isSlow = error instanceof DeadlineError;
      const why =
        error instanceof SaslTrouble
          ? `SASL: ${address}: ${error.message}`
          : `SASL: Connect to Dovecot auth socket '${address}' failed: ${describeTrouble(error)}${hint}`;
      log.warn(why);
      throw new SaslTrouble(UNREACHABLE, { cause: error });
    }
  }
}

class DovecotExchange implements SaslExchange {
  readonly #backEnd: DovecotBackEnd;
  readonly #request: SaslRequest;
  #connection: DovecotConnection | undefined;
  #id = 0;

  constructor(backEnd: DovecotBackEnd, request: SaslRequest) {
    this.#backEnd = backEnd;
    this.#request = request;
  }

  async next(response: string | undefined): Promise<SaslStep> {
    try {
      if (this.#connection !== undefined) {
        return await this.#connection.ask(this.#id, `CONT\t${this.#id}\t${response ?? ''}`);
      }
      this.#connection = await this.#backEnd.connection();
      this.#id = this.#connection.nextId();
      const { mechanism, service, serverAddress, clientAddress, isEncrypted } = this.#request;
      const fields = ['AUTH', this.#id, mechanism, `service=${service}`, 'nologin'];
      fields.push(`lip=${serverAddress}`, `rip=${clientAddress}`);
      if (isEncrypted) fields.push('secured');
      if (response !== undefined) fields.push(`resp=${response}`);
      return await this.#connection.ask(this.#id, fields.join('\t'));
    } catch (error) {
      if (!(error instanceof SaslTrouble)) throw error;
      return { kind: 'trouble', reason: error.message };
    }
  }

  cancel(): void {
    this.#connection?.cancel(this.#id);
  }
}

/** A request that waits for its answer. */
interface Waiting {
  readonly since: number;
  readonly settle: (step: SaslStep) => void;
  readonly timer: Timer;
}

class DovecotConnection {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEnd: () => void;
  readonly #mechanisms: Mechanism[] = [];
  #partial = '';
  #minor = 0;
  #lastId = 0;
  #heardAt = 0;
  #greeting: { done(): void; fail(error: Error): void } | undefined;
  #hasEnded = false;

  private constructor(socket: Socket, onEnd: () => void) {
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (text: string) => this.#take(text));
    socket.on('close', () => this.#end());
    socket.on('end', () => socket.destroy());
  }

  /** Says hello, and waits until the server has said what it can do. */
  static async greet(socket: Socket, onEnd: () => void): Promise<DovecotConnection> {
    const connection = new DovecotConnection(socket, onEnd);
    socket.write(`VERSION\t${VERSION_MAJOR}\t0\nCPID\t${process.pid}\n`);
    await new Promise<void>((done, fail) => {
      connection.#greeting = { done, fail };
    });
    connection.#greeting = undefined;
    // It must not keep a process that has nothing else to do.
    socket.unref();
    return connection;
  }

  get mechanisms(): readonly Mechanism[] {
    return this.#mechanisms;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  ask(id: number, line: string): Promise<SaslStep> {
    if (this.#hasEnded) return Promise.resolve({ kind: 'trouble', reason: LOST });
    return new Promise((settle) => {
      const timer = after(LIMIT_MS, () => this.#onTimeout(id));
      this.#waiting.set(id, { since: monotonic(), settle, timer });
      this.#socket.write(`${line}\n`);
    });
  }

  cancel(id: number): void {
    if (!this.#hasEnded && this.#minor >= CANCEL_MINOR) this.#socket.write(`CANCEL\t${id}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#heardAt = monotonic();
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#hasEnded) return;
      this.#takeLine(line.split('\t'));
    }
    if (this.#partial.length > LINE_MAX) this.#fail('a line without an end');
  }

  #takeLine([command = '', ...fields]: readonly string[]): void {
    if (this.#greeting !== undefined) this.#takeGreeting(command, fields);
    else this.#takeAnswer(command, fields);
  }

  #takeGreeting(command: string, fields: readonly string[]): void {
    const [first = '', ...rest] = fields;
    if (command === 'VERSION') {
      if (first !== VERSION_MAJOR) {
        this.#fail(`protocol version ${first.slice(0, 10)} in place of ${VERSION_MAJOR}`);
      }
      this.#minor = Number(rest[0]) || 0;
    } else if (command === 'MECH' && /^[A-Za-z0-9_-]{1,20}$/.test(first)) {
      if (this.#mechanisms.length === MECHANISMS_MAX) return;
      const properties = rest.filter(isProperty);
      this.#mechanisms.push({ name: first.toUpperCase(), properties });
    } else if (command === 'DONE') {
      if (this.#mechanisms.length > 0) this.#greeting?.done();
      else this.#fail('no mechanisms');
    }
  }

  #takeAnswer(command: string, [id = '', ...fields]: readonly string[]): void {
    const step = stepOf(command, fields);
    const waiting = this.#waiting.get(Number(id));
    // What nobody waits for any more has timed out, or was given up.
    if (step === undefined || waiting === undefined) return;
    this.#waiting.delete(Number(id));
    waiting.timer.stop();
    waiting.settle(step);
  }

  #onTimeout(id: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.settle({ kind: 'trouble', reason: LOST });
    // It answers others, but not this one: the fault may be the request's.
    if (this.#heardAt > waiting.since) this.cancel(id);
    else this.close();
  }

  #fail(why: string): void {
    this.#greeting?.fail(new SaslTrouble(why));
    this.close();
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd();
    this.#greeting?.fail(new SaslTrouble('it closed the connection before it was ready'));
    for (const { settle, timer } of this.#waiting.values()) {
      timer.stop();
      settle({ kind: 'trouble', reason: LOST });
    }
    this.#waiting.clear();
  }
}

/** @returns `undefined` for what is no answer */
function stepOf(command: string, fields: readonly string[]): SaslStep | undefined {
  const value = (name: string) =>
    fields.find((field) => field.startsWith(`${name}=`))?.slice(name.length + 1);
  const username = value('user');
  const known = username === undefined ? {} : { username };
  switch (command) {
    case 'OK':
      return username === undefined || username === ''
        ? { kind: 'refused', reason: '' }
        : { kind: 'done', username };
    case 'FAIL':
      // Postfix tells the client that its password is wrong, all the same.
      return {
        kind: fields.includes('temp') ? 'trouble' : 'refused',
        reason: value('reason') ?? '',
        ...known,
      };
    case 'CONT': {
      const [base64 = ''] = fields;
      return isBase64(base64)
        ? { kind: 'challenge', base64 }
        : { kind: 'trouble', reason: 'malformed answer of the authentication server' };
    }
    default:
      return undefined;
  }
}
