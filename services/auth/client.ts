/**
 * One client of auth(8): an smtpd, ours or Postfix's, that asks for all of its own clients.
 * Dovecot's protocol for authentication clients, version 1: ipc.md 3.20.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { sleep } from '../../lib/clock/clock.ts';
import { isBase64, type SaslExchange, type SaslStep } from '../../lib/sasl/exchange.ts';
import { LocalExchange, type LocalOptions } from '../../lib/sasl/local-exchange.ts';
import type { Mechanism } from '../../lib/sasl/mechanism.ts';

/** Longer than smtpd_sasl_response_limit is by default. */
const LINE_MAX = 32 * 1024;
/** Clients of a client that are logging in at the same time; who is older has gone. */
const EXCHANGES_MAX = 1000;
const VERSION_MAJOR = '1';

export interface ClientOptions extends LocalOptions {
  readonly mechanisms: readonly Mechanism[];
  /** How many clients there were before: no other has the same number. */
  readonly number: number;
  readonly failureDelayMs: number;
  readonly stopping: AbortSignal;
  /** Somebody was refused: for the log. */
  readonly onFailed: (mechanism: string, address: string, step: SaslStep) => void;
}

/** What is known of one who is logging in. */
interface Attempt {
  readonly exchange: SaslExchange;
  readonly mechanism: string;
  /** The client's own, for the log. */
  readonly address: string;
  /** The one before has to be judged first. */
  isBusy: boolean;
}

export class AuthClient {
  readonly #socket: Socket;
  readonly #options: ClientOptions;
  readonly #attempts = new Map<string, Attempt>();
  #partial = '';

  constructor(socket: Socket, options: ClientOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Serves the client until it goes, or says what makes no sense. */
  async run(): Promise<void> {
    const socket = this.#socket;
    const { mechanisms, number } = this.#options;
    const offers = mechanisms.map(({ name, properties }) => ['MECH', name, ...properties]);
    this.#send(
      ['VERSION', VERSION_MAJOR, '2'],
      ...offers,
      ['SPID', String(process.pid)],
      ['CUID', String(number)],
      ['COOKIE', randomBytes(16).toString('hex')],
      ['DONE'],
    );
    socket.setEncoding('utf8');
    this.#options.stopping.addEventListener('abort', this.#leave);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (text: string) => this.#take(text));
    socket.on('end', () => socket.destroy());
    if (!socket.destroyed) await closed;
    this.#options.stopping.removeEventListener('abort', this.#leave);
    for (const { exchange } of this.#attempts.values()) exchange.cancel();
    this.#attempts.clear();
  }

  /** We are to go: who asks nothing now can ask another process. */
  readonly #leave = (): void => {
    if (this.#attempts.size === 0) this.#socket.end();
  };

  #take(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#socket.destroyed) return;
      const [command = '', ...fields] = line.split('\t');
      if (!this.#takeLine(command, fields)) this.#socket.destroy();
    }
    if (this.#partial.length > LINE_MAX) this.#socket.destroy();
  }

  /** @returns false when there is no use in going on */
  #takeLine(command: string, [id = '', ...fields]: readonly string[]): boolean {
    switch (command) {
      case 'VERSION':
        return id === VERSION_MAJOR;
      case 'AUTH':
        return /^\d{1,10}$/.test(id) && this.#begin(id, fields);
      case 'CONT':
        return this.#proceed(id, fields[0] ?? '');
      case 'CANCEL':
        this.#forget(id);
        return true;
      default:
        return true;
    }
  }

  #begin(id: string, [name = '', ...fields]: readonly string[]): boolean {
    const { mechanisms } = this.#options;
    const mechanism = name.toUpperCase();
    const isOffered = mechanisms.some((each) => each.name === mechanism);
    // A number that is in use, or what was not offered: the client has lost its way.
    if (!isOffered || this.#attempts.has(id)) return false;
    const value = (field: string) =>
      fields.find((each) => each.startsWith(`${field}=`))?.slice(field.length + 1);
    for (const oldest of this.#attempts.keys()) {
      if (this.#attempts.size < EXCHANGES_MAX) break;
      this.#forget(oldest);
    }
    const address = value('rip') ?? 'unknown';
    const exchange = new LocalExchange(mechanism, { ...this.#options, clientAddress: address });
    const attempt: Attempt = { exchange, mechanism, address, isBusy: false };
    this.#attempts.set(id, attempt);
    this.#ask(id, attempt, value('resp'));
    return true;
  }

  #proceed(id: string, response: string): boolean {
    const attempt = this.#attempts.get(id);
    // It was too old.
    if (attempt === undefined) {
      this.#send(['FAIL', id]);
      return true;
    }
    if (attempt.isBusy) return false;
    this.#ask(id, attempt, response);
    return true;
  }

  #ask(id: string, attempt: Attempt, response: string | undefined): void {
    attempt.isBusy = true;
    const given = response === '=' ? '' : response;
    const asked =
      given === undefined || isBase64(given)
        ? attempt.exchange.next(given)
        : Promise.resolve<SaslStep>({ kind: 'refused', reason: '' });
    asked
      .then((step) => this.#answer(id, attempt, step))
      .catch((error) => this.#socket.destroy(error as Error));
  }

  async #answer(id: string, attempt: Attempt, step: SaslStep): Promise<void> {
    attempt.isBusy = false;
    if (step.kind === 'challenge') {
      this.#send(['CONT', id, step.base64]);
      return;
    }
    if (step.kind === 'done') {
      this.#attempts.delete(id);
      this.#send(['OK', id, `user=${step.username}`]);
      return;
    }
    const { failureDelayMs, stopping, onFailed } = this.#options;
    onFailed(attempt.mechanism, attempt.address, step);
    if (step.kind === 'refused') await sleep(failureDelayMs, stopping);
    if (this.#attempts.get(id) !== attempt) return;
    this.#attempts.delete(id);
    const fields = ['FAIL', id];
    if (step.username !== undefined) fields.push(`user=${step.username}`);
    if (step.kind === 'trouble') fields.push('temp', `reason=${step.reason}`);
    else if (step.reason !== '') fields.push(`reason=${step.reason}`);
    this.#send(fields);
  }

  #forget(id: string): void {
    this.#attempts.get(id)?.exchange.cancel();
    this.#attempts.delete(id);
  }

  /** No field may end another, or a line. */
  #send(...lines: readonly (readonly string[])[]): void {
    const text = lines.map((fields) =>
      fields.map((field) => field.replace(/[\x00-\x1f]/g, '?')).join('\t'),
    );
    if (!this.#socket.destroyed) this.#socket.write(`${text.join('\n')}\n`);
    if (this.#options.stopping.aborted) this.#leave();
  }
}
