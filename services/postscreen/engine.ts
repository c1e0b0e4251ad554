/**
 * The built-in SMTP engine: hears a client out that no server shall see, be it only to look whether it
 * keeps to the protocol. It takes no mail, and no command makes it wait for anybody.
 */
import { isUtf8 } from 'node:buffer';
import { monotonic } from '../../lib/clock/clock.ts';
import { escapeBytes } from '../../lib/log/escape.ts';
import { type Command, findCommand, nextWord } from './commands.ts';
import { DEEP_TESTS, type Test } from './reputation.ts';
import type { Session } from './session.ts';

const SHOWN_MAX = 100;
const NOT_ASCII = /[^\x00-\x7f]/g;
const LF = 0x0a;
const CR = 0x0d;
/** RFC 822: the name of a header and its colon. */
const HEADER_NAME = /^[!-9;-~]+:/;

export class Engine {
  readonly session: Session;
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  helo: string | undefined;
  sender: string | undefined;
  /** TLS is on. */
  isSecured = false;
  /** The words that EHLO did not offer; before it has been said that is none. */
  discarded: ReadonlySet<string> = new Set();
  /** The last command; what the log says came before. */
  #where = 'CONNECT';
  #count = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** Talks with the client until one of the two has had enough. */
  async run(): Promise<void> {
    const { session } = this;
    const { progress, screen } = session;
    session.beginTests('tests after SMTP handshake');
    // Who has failed before is looked at more closely: it tells more of it.
    if (progress.hasFailed) for (const test of DEEP_TESTS) progress.todo.add(test);
    // Who has spoken already gets an answer, and no greeting.
    if (!progress.failed.has('pregreet') && !session.send(screen.greeting)) {
      return await session.hangUp();
    }
    for (;;) {
      const line = await this.#nextLine();
      if (line === undefined) return;
      if (await this.#take(line)) return;
    }
  }

  /** The reply to EHLO. */
  async offer(): Promise<readonly string[]> {
    const { screen } = this.session;
    this.discarded = await screen.discardedFor(this.session);
    return screen.ehloReply(this.discarded, this.isSecured);
  }

  /** @returns the line without its end; `undefined` when the session is over */
  async #nextLine(): Promise<string | undefined> {
    const { session } = this;
    const { socket, screen } = session;
    const { line_length_limit: limit, myhostname } = screen.parameters;
    // The whole of a command has to come in this time.
    const expiresAt = monotonic() + screen.limits.commandTime * 1000;
    for (;;) {
      const end = socket.input.subarray(0, limit + 2).indexOf(LF);
      const isBare = end >= 0 && socket.input[end - 1] !== CR;
      const length = end < 0 || isBare ? end : end - 1;
      if (length >= limit || (end < 0 && socket.input.length > limit)) {
        screen.log.info(`COMMAND LENGTH LIMIT from ${session.label} after ${this.#where}`);
        await session.drop(screen.unavailable);
        return undefined;
      }
      if (end >= 0) {
        const line = socket.take(end + 1).subarray(0, length);
        return isBare && (await this.#isDroppedForBare(line)) ? undefined : textOf(line);
      }
      const arrival = await socket.read(expiresAt);
      if (arrival === 'end') {
        await session.hangUp();
        return undefined;
      }
      if (arrival === 'timeout') {
        screen.log.info(`COMMAND TIME LIMIT from ${session.label} after ${this.#where}`);
        await session.drop(`421 4.4.2 ${myhostname} Error: timeout exceeded`);
        return undefined;
      }
    }
  }

  async #isDroppedForBare(line: Buffer): Promise<boolean> {
    const { session } = this;
    if (!this.#isTesting('bareNewline')) return false;
    const shown = escapeBytes(line.subarray(0, SHOWN_MAX));
    session.screen.log.info(`BARE NEWLINE from ${session.label} after ${shown}`);
    return await this.#isDropped('bareNewline');
  }

  /** @returns whether the session is over */
  async #take(line: string): Promise<boolean> {
    const { session } = this;
    const { screen, socket } = session;
    const { log } = screen;
    const filtered = await screen.filterCommand(line, session.label);
    const [word, rest] = nextWord(filtered);
    const command = findCommand(word);
    const before = this.#where;
    this.#where = command?.name ?? 'UNIMPLEMENTED';
    if (session.excuse !== undefined && command?.name !== 'QUIT') {
      await session.drop(session.excuse);
      return true;
    }
    if (command === undefined && this.#isTesting('nonSmtp') && (await this.#isNonSmtp(word))) {
      const said = filtered.trimStart().slice(word.length + 1);
      const shown = `${shorten(word)} ${shorten(escapeBytes(Buffer.from(said)))}`.trimEnd();
      log.info(`NON-SMTP COMMAND from ${session.label} after ${before}: ${shown}`);
      const text = '5.7.0 Error: I can break rules, too. Goodbye.';
      if (await this.#isDropped('nonSmtp', text)) return true;
    }
    const hasPayload = command?.name === 'BDAT';
    if (!hasPayload && this.#isTesting('pipelining') && socket.input.length > 0) {
      const shown = escapeBytes(socket.input.subarray(0, SHOWN_MAX));
      log.info(
        `COMMAND PIPELINING from ${session.label} after ${shorten(word)}: ${shorten(shown)}`,
      );
      if (await this.#isDropped('pipelining')) return true;
    }
    if (command?.name === 'RCPT') this.#passDeep();
    this.#count += 1;
    if (
      this.#count > screen.parameters.postscreen_command_count_limit &&
      command?.name !== 'QUIT'
    ) {
      log.info(`COMMAND COUNT LIMIT from ${session.label} after ${before}`);
      await session.drop(screen.unavailable);
      return true;
    }
    return await this.#execute(command, rest);
  }

  async #execute(command: Command | undefined, rest: string): Promise<boolean> {
    const { session } = this;
    const { screen } = session;
    if (command?.run === undefined) {
      return await this.#hasGone(session.send('502 5.5.2 Error: command not recognized'));
    }
    if (screen.tls.isRequired && !this.isSecured && command.isPlain !== true) {
      return await this.#hasGone(session.send('530 5.7.0 Must issue a STARTTLS command first'));
    }
    const answer = await command.run(this, rest);
    if (typeof answer === 'object' && 'drop' in answer) {
      await session.drop(answer.drop);
      return true;
    }
    const isSent = typeof answer === 'object' && 'isSent' in answer;
    return await this.#hasGone(isSent ? answer.isSent : session.send(answer));
  }

  async #hasGone(isSent: boolean): Promise<boolean> {
    if (isSent) return false;
    await this.session.hangUp();
    return true;
  }

  #isTesting(test: Test): boolean {
    const { progress } = this.session;
    return progress.todo.has(test) && !progress.skipped.has(test);
  }

  async #isNonSmtp(word: string): Promise<boolean> {
    return HEADER_NAME.test(word) || (await this.session.screen.isForbidden(word));
  }

  async #isDropped(test: Test, text?: string): Promise<boolean> {
    const reply = this.session.failDeep(test, text);
    if (reply === undefined) return false;
    await this.session.drop(reply);
    return true;
  }

  /** Who gets as far as RCPT has passed; it may still fail with a later command. */
  #passDeep(): void {
    const { progress, screen } = this.session;
    for (const test of DEEP_TESTS) {
      if (!progress.todo.has(test) || progress.passed.has(test) || progress.failed.has(test)) {
        continue;
      }
      this.session.pass(test, screen.tests[test].ttl);
    }
  }
}

/** Ends at a NUL, as in Postfix. What is no UTF-8 the log shows as question marks. */
function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const text = end < 0 ? bytes : bytes.subarray(0, end);
  return isUtf8(text) ? text.toString() : text.toString('latin1').replace(NOT_ASCII, '?');
}

function shorten(text: string): string {
  return text.slice(0, SHOWN_MAX);
}
