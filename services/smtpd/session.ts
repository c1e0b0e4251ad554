/**
 * One client, from the greeting to the end: owns the connection and all state of the session.
 * What each command does is in commands.ts; here is what is the same for all of them: counting
 * errors, delaying those who make too many, limits of time, and how a session ends.
 */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { sleep } from '../../lib/clock/clock.ts';
import type { RejectAction } from '../../lib/log/event.ts';
import { lookupClientName, UNKNOWN } from './client-name.ts';
import { CommandCounts } from './command-counts.ts';
import { type Command, findCommand } from './commands.ts';
import { type Connection, openConnection } from './connection.ts';
import { describeFailure } from './content.ts';
import type { ContentReader, NewlineRule } from './content-reader.ts';
import type { Smtpd } from './service.ts';
import type { Client, Transaction } from './transaction.ts';

/** What a command answers, and whether it went well. */
export interface Answer {
  /** Whole reply: `250 2.1.0 Ok`, or one such line each. */
  readonly reply: string | readonly string[];
  /** It counts against the client. By default, what starts with 4 or 5 does. */
  readonly isError?: boolean;
  /** The connection closes after it. */
  readonly closes?: boolean;
  /** What follows the reply is content. */
  readonly content?: ContentSink;
}

/** Takes the content of a message. */
export interface ContentSink {
  readonly reader: ContentReader;
  write(records: Buffer): Promise<void> | void;
  /** The content has ended: what became of the message. */
  finish(): Promise<Answer>;
}

/** Input of a broken line that the log shows. */
const SHOWN_MAX = 100;
const SHOWN_LONG_MAX = 30;
/** Commands that do nothing for mail: too many of them are errors. */
const JUNK = new Set(['helo', 'ehlo', 'rset', 'noop', 'vrfy', 'etrn']);
/** RFC 2920: after these, a client may send on without waiting for the reply. */
const MAY_BE_PIPELINED = new Set(['MAIL', 'RCPT', 'RSET', 'XFORWARD']);

export class Session {
  readonly smtpd: Smtpd;
  readonly connection: Connection;
  readonly counts = new CommandCounts();
  client: Client;
  helo: string | undefined;
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  transaction: Transaction | undefined;
  /** The client sent more than it may before our reply. */
  pipelined = false;
  /** The command at hand, in capitals; `CONNECT` before the first. */
  stage = 'CONNECT';
  #errors = 0;
  #junk = 0;
  #sink: ContentSink | undefined;
  #quit = false;
  readonly #closed: Promise<void>;
  #resolveClosed = () => {};

  constructor(socket: Socket, smtpd: Smtpd) {
    this.smtpd = smtpd;
    const address = plainAddress(socket.remoteAddress ?? '');
    this.client = {
      address,
      port: socket.remotePort ?? 0,
      serverAddress: plainAddress(socket.localAddress ?? ''),
      serverPort: socket.localPort ?? 0,
      name: UNKNOWN,
      reverseName: UNKNOWN,
      label: `${UNKNOWN}[${address}]`,
    };
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.connection = openConnection(socket, {
      onLine: (line, bare) => this.#onLine(line, bare),
      onContent: (records) => this.#sink?.write(records),
      onContentEnd: () => this.#onContentEnd(),
      onTimeout: () => this.#onTimeout(),
      onEndlessLine: () => this.#refuseEndlessLine(),
      onClose: () => this.#onClose(),
      onFailure: (error) => this.#onFailure(error),
    });
  }

  /** Serves the client; resolves when it has gone. Never throws. */
  async run(): Promise<void> {
    try {
      await this.#identify();
      this.connection.setTimeLimit(this.smtpd.parameters.smtpd_timeout);
      await this.#greet();
      this.connection.start();
    } catch (error) {
      this.#onFailure(error);
    }
    await this.#closed;
  }

  /** Logs what a rule did about the client, in Postfix's form. */
  logRule(action: RejectAction, text: string, recipient?: string): void {
    const { transaction, helo, client } = this;
    this.smtpd.log.info({
      kind: 'reject',
      queueId: transaction?.message?.queueId,
      action,
      stage: this.stage,
      client: client.label,
      text,
      from: transaction?.sender.address,
      to: recipient,
      protocol: this.protocol,
      helo,
    });
  }

  /** Forgets the message at hand; cleanup drops what it has of it. */
  reset(): void {
    const message = this.transaction?.message;
    this.transaction = undefined;
    message?.abort();
  }

  /** How this client's bare line feeds are taken. */
  get newlineRule(): NewlineRule {
    return this.#newlineRule;
  }
  #newlineRule: NewlineRule = 'normalize';

  async #identify(): Promise<void> {
    const { smtpd } = this;
    const { address } = this.client;
    if (smtpd.parameters.smtpd_peername_lookup) {
      const { name, reverseName, warning } = await lookupClientName(address, smtpd.resolver);
      this.client = { ...this.client, name, reverseName, label: `${name}[${address}]` };
      if (warning !== undefined) smtpd.log.warn(warning);
    }
    if (smtpd.parameters.smtpd_client_port_logging) {
      this.client = { ...this.client, label: `${this.client.label}:${this.client.port}` };
    }
    smtpd.log.info({ kind: 'connect', client: this.client.label });
    this.#newlineRule = await smtpd.newlineRuleFor(address);
  }

  async #greet(): Promise<void> {
    const { smtpd } = this;
    const refusal = await smtpd.countConnection(this.client);
    if (refusal !== undefined) {
      this.#send({ reply: refusal, closes: true });
      return;
    }
    if (!smtpd.parameters.smtpd_delay_reject) {
      const decision = await smtpd.decide(smtpd.lists.client, this);
      if (decision.refusal !== undefined) {
        this.logRule('reject', decision.refusal);
        this.#send({ reply: decision.refusal });
        return;
      }
    }
    this.#send({ reply: `220 ${smtpd.parameters.smtpd_banner}` });
  }

  #onLine(bytes: Buffer, bareLineFeed: boolean): Promise<void> | void {
    const text = this.#textOf(bytes);
    if (bareLineFeed && this.#newlineRule === 'reject') {
      const { myhostname } = this.smtpd.parameters;
      this.stage = firstWord(text).toUpperCase() || 'UNKNOWN';
      this.logRule('reject', 'bare <LF> received');
      return this.#answer({
        reply: `550 5.5.2 ${myhostname} Error: bare <LF> received`,
        closes: true,
      });
    }
    if (text.trim() === '') return this.#answer({ reply: '500 5.5.2 Error: bad syntax' });
    if (this.smtpd.parameters.smtputf8_enable && !isUtf8(bytes)) {
      return this.#answer({ reply: '500 5.5.2 Error: bad UTF-8 syntax' });
    }
    const word = firstWord(text);
    const command = findCommand(word);
    this.stage = command?.name ?? 'UNKNOWN';
    this.#notePipelining(text);
    if (command === undefined) return this.#unknown(word, text);
    return this.#execute(command, text.slice(word.length).trim());
  }

  /** NUL ends a line, as it does for Postfix; so does the limit on its length. */
  #textOf(bytes: Buffer): string {
    const nul = bytes.indexOf(0);
    const line = nul === -1 ? bytes : bytes.subarray(0, nul);
    const { line_length_limit: limit, smtputf8_enable: utf8 } = this.smtpd.parameters;
    if (line.length <= limit) return line.toString(utf8 ? 'utf8' : 'latin1').trimEnd();
    const start = line.toString('latin1', 0, SHOWN_LONG_MAX);
    this.smtpd.log.warn(`${this.client.label}: request longer than ${limit}: ${start}...`);
    return line.toString(utf8 ? 'utf8' : 'latin1', 0, limit).trimEnd();
  }

  #notePipelining(text: string): void {
    if (this.pipelined || !this.connection.hasInput) return;
    if (this.protocol === 'ESMTP' && MAY_BE_PIPELINED.has(this.stage)) return;
    if (this.stage === 'QUIT' || (this.stage === 'DATA' && this.transaction === undefined)) return;
    this.pipelined = true;
    this.smtpd.log.info(
      `improper command pipelining after ${this.stage} from ${this.client.label}: ${text.slice(0, SHOWN_MAX)}`,
    );
  }

  async #unknown(word: string, text: string): Promise<void> {
    const { smtpd } = this;
    if (word.endsWith(':') || (await smtpd.isForbidden(word))) {
      smtpd.log.warn(`non-SMTP command from ${this.client.label}: ${text.slice(0, SHOWN_MAX)}`);
      this.counts.add('unknown', false);
      return this.#answer({
        reply: '221 2.7.0 Error: I can break rules, too. Goodbye.',
        closes: true,
      });
    }
    if (smtpd.isIgnored(word)) return this.#answer({ reply: '250 2.0.0 Ok' });
    this.counts.add('unknown', false);
    return this.#answer({ reply: '500 5.5.2 Error: command not recognized' });
  }

  async #execute(command: Command, argument: string): Promise<void> {
    const answer = await command.run(this, argument);
    if (!this.connection.isOpen) return;
    this.counts.add(command.counted, !isError(answer));
    if (JUNK.has(command.counted)) this.#countJunk();
    if (answer.content !== undefined) {
      this.#sink = answer.content;
      this.connection.expectContent(answer.content.reader);
    }
    if (command.name === 'QUIT') this.#quit = true;
    await this.#answer(answer);
  }

  #countJunk(): void {
    this.#junk += 1;
    if (this.#junk > this.smtpd.parameters.smtpd_junk_command_limit + 1) this.#errors += 1;
  }

  /** Sends an answer, slowly to those who have made many errors, and not for ever. */
  async #answer(answer: Answer): Promise<void> {
    const { parameters } = this.smtpd;
    if (isError(answer)) this.#errors += 1;
    if (
      this.#errors >= parameters.smtpd_soft_error_limit &&
      parameters.smtpd_error_sleep_time > 0
    ) {
      await sleep(parameters.smtpd_error_sleep_time * 1000);
    }
    this.#send(answer);
    if (answer.closes !== true && this.#errors >= parameters.smtpd_hard_error_limit) {
      this.#logLost('too many errors');
      this.#quit = true;
      this.#send({
        reply: `421 4.7.0 ${parameters.myhostname} Error: too many errors`,
        closes: true,
      });
    }
  }

  #send({ reply, closes }: Answer): void {
    const lines = typeof reply === 'string' ? [reply] : reply;
    const soft = this.smtpd.parameters.soft_bounce ? lines.map(soften) : lines;
    this.connection.write(`${soft.join('\r\n')}\r\n`);
    // These two codes say that the connection closes. RFC 5321 3.8, RFC 7504.
    if (closes === true || /^[45]21/.test(soft[0] ?? '')) {
      this.#quit = true;
      this.connection.end();
    }
  }

  async #onContentEnd(): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink === undefined) return;
    const answer = await sink.finish();
    if (!isError(answer)) {
      this.#errors = 0;
      this.#junk = 0;
    }
    await this.#answer(answer);
  }

  #onTimeout(): void {
    this.#logLost('timeout');
    this.#quit = true;
    const { myhostname } = this.smtpd.parameters;
    this.#send({ reply: `421 4.4.2 ${myhostname} Error: timeout exceeded`, closes: true });
  }

  #refuseEndlessLine(): void {
    this.#quit = true;
    const { myhostname, line_length_limit } = this.smtpd.parameters;
    this.smtpd.log.warn(
      `${this.client.label}: request longer than ${line_length_limit}, and no end of line`,
    );
    this.#send({ reply: `421 4.7.0 ${myhostname} Error: command too long`, closes: true });
  }

  #onFailure(error: unknown): void {
    this.smtpd.log.error(
      `session with ${this.client.label} failed after ${this.stage}: ${describeFailure(error)}`,
    );
    this.#quit = true;
    const { myhostname } = this.smtpd.parameters;
    this.#send({ reply: `421 4.3.0 ${myhostname} Error: internal error`, closes: true });
  }

  #onClose(): void {
    if (!this.#quit && this.stage !== 'END-OF-MESSAGE') this.#logLost('lost connection');
    this.reset();
    this.smtpd.log.info({
      kind: 'disconnect',
      client: this.client.label,
      counts: this.counts.list(),
    });
    this.smtpd.uncountConnection(this.client);
    this.#resolveClosed();
  }

  #logLost(why: 'lost connection' | 'timeout' | 'too many errors'): void {
    this.smtpd.log.info({
      kind: 'session-lost',
      why,
      stage: this.stage,
      client: this.client.label,
      receivedBytes: this.#sink?.reader.sizeBytes,
    });
  }
}

function isError({ reply, isError: told }: Answer): boolean {
  const first = typeof reply === 'string' ? reply : (reply[0] ?? '');
  return told ?? /^[45]/.test(first);
}

function firstWord(text: string): string {
  return text.trimStart().split(/\s/, 1)[0] ?? '';
}

/** `soft_bounce`: what would be for good is for now. */
function soften(line: string): string {
  return line.replace(
    /^5(\d\d[ -])(?:5(\.\d{1,3}\.\d{1,3}))?/,
    (_all, rest: string, status?: string) =>
      status === undefined ? `4${rest}` : `4${rest}4${status}`,
  );
}

/** IPv4 clients of a socket for both families look like IPv6. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}
