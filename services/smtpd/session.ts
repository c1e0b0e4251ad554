/**
 * One client, from the greeting to the end: owns the connection and all state of the session.
 * What each command does is in commands.ts; here is what is the same for all of them: counting
 * errors, delaying those who make too many, limits of time, and how a session ends.
 */
import type { Socket } from 'node:net';
import { sleep } from '../../lib/clock/clock.ts';
import { escapeBytes } from '../../lib/log/escape.ts';
import type { RejectAction } from '../../lib/log/event.ts';
import { type Endpoints, socketEndpoints } from '../../lib/net/proxy-header.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import type { TlsSession } from '../../lib/tls/session-facts.ts';
import {
  type Answer,
  type ContentSink,
  isError,
  isFarewell,
  type Question,
  soften,
} from './answer.ts';
import { BDAT_CONTENT, type ChunkedMessage } from './bdat.ts';
import type { ClientLimits, LimitedEvent } from './client-limits.ts';
import { lookupClientName, NAMELESS, UNKNOWN } from './client-name.ts';
import { CommandCounts, type CountedCommand } from './command-counts.ts';
import { filteredCommand } from './command-filter.ts';
import type { Line } from './command-input.ts';
import { type Command, findCommand } from './commands.ts';
import { type Connection, openConnection } from './connection.ts';
import { describeFailure } from './content.ts';
import { order } from './message-orders.ts';
import type { Pace } from './pace.ts';
import { NOT_SHOWN, withoutSecrets } from './secrets.ts';
import type { Concern, Smtpd } from './service.ts';
import type { SessionMilters } from './session-milters.ts';
import { refusalBeforeTls, startWrapped } from './starttls.ts';
import { type Client, type Forwarded, labelOf, type Transaction } from './transaction.ts';
import type { Transcript } from './transcript.ts';
import type { Decision } from './verdict.ts';
import { splitWords, type Word } from './words.ts';

interface Asked {
  readonly question: Question;
  readonly command: Command;
}

/** Input of a broken line that the log shows. */
const SHOWN_MAX = 100;
const SHOWN_LONG_MAX = 30;
/** In a transcript, for what may be a password. */
const HIDDEN = { text: NOT_SHOWN, isUtf8: true };
const UTF8_ERROR: Answer = { reply: '500 5.5.2 Error: bad UTF-8 syntax' };
const SYNTAX_ERROR: Answer = { reply: '500 5.5.2 Error: bad syntax' };
const UNKNOWN_ERROR: Answer = { reply: '500 5.5.2 Error: command not recognized' };
const GOODBYE: Answer = {
  reply: '221 2.7.0 Error: I can break rules, too. Goodbye.',
  closes: true,
};
const OUT_OF_STEP: Answer = {
  reply: '554 5.5.0 Error: SMTP protocol synchronization',
  closes: true,
};
/** RFC 822: the name of a header and its colon. */
const HEADER_NAME = /^[!-9;-~]+:/;

export class Session {
  readonly smtpd: Smtpd;
  readonly connection: Connection;
  readonly counts = new CommandCounts();
  client: Client;
  helo: string | undefined;
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  /** Nobody else can read what is said: TLS is on. */
  isEncrypted = false;
  /** What it has come to. */
  tls: TlsSession | undefined;
  /** How often the client has failed to log in. */
  loginFailures = 0;
  transaction: Transaction | undefined;
  /** A message comes by BDAT, or one of its chunks was refused. */
  chunks: ChunkedMessage | 'refused' | undefined;
  /** XFORWARD told of the next message, or of the one at hand. */
  forwarded: Forwarded | undefined;
  /** Who filters what the client sends; most have none. */
  milters: SessionMilters | undefined;
  /** What was said, while somebody may want to know. */
  readonly transcript: Transcript | undefined;
  /** The client sent more than it may before our reply. */
  pipelined = false;
  /** The line of the command at hand. */
  commandLine = '';
  /** The command at hand, in capitals; `CONNECT` before the first. */
  stage = 'CONNECT';
  /** The reply that refused the client when it connected. */
  #refused: string | undefined;
  /** Reasons to refuse later what was permitted: since the client connected, and said HELO. */
  #deferrals: { client?: string; helo?: string } = {};
  /** What the server's load made of some limits when we began. */
  readonly #pace: Pace;
  #limits: ClientLimits | undefined;
  #errors = 0;
  #junk = 0;
  #sink: ContentSink | undefined;
  readonly #isUnproxied: boolean;
  /** What the client's next line answers, and the command that this belongs to. */
  #asked: Asked | undefined;
  /** The end was agreed upon, or the log has its reason already. */
  #isEnding = false;
  #hasEnded = false;
  readonly #closed: Promise<void>;
  #resolveClosed = () => {};

  /** @param told who the client is; `undefined`: a proxy had to say so, and did not */
  constructor(socket: Socket, smtpd: Smtpd, told: Endpoints | undefined) {
    this.smtpd = smtpd;
    this.#isUnproxied = told === undefined;
    const endpoints = told ?? socketEndpoints(socket);
    const address = endpoints.clientAddress;
    smtpd.sessions += 1;
    this.transcript = smtpd.notices?.begin();
    this.#pace = smtpd.pace;
    this.client = {
      peerAddress: address,
      address,
      port: endpoints.clientPort,
      serverAddress: endpoints.serverAddress,
      serverPort: endpoints.serverPort,
      ...NAMELESS,
      label: `${UNKNOWN}[${address}]`,
      network: undefined,
      isLocalRewrite: false,
      offer: smtpd.keywords.usualOffer(),
      newlines: 'normalize',
      mayXclient: false,
      mayXforward: undefined,
      login: undefined,
    };
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.connection = openConnection(socket, smtpd.parameters.line_length_limit, {
      onLine: (line) => this.#onLine(line),
      onContent: (records) => this.#sink?.write(records),
      onContentEnd: () => this.#onContentEnd(),
      onInputEnd: () => this.#onInputEnd(),
      onTimeout: () => this.#onTimeout(),
      onEndlessLine: () => this.#onEndlessLine(),
      onClose: () => this.#onClose(),
      onFailure: (error) => this.#onFailure(error),
    });
  }

  /** Serves the client; resolves when it has gone. Never throws. */
  async run(): Promise<void> {
    try {
      await this.connection.open(this.smtpd.tls?.demands.isWrapped === true);
      await this.#identify();
      if (!(await this.#startWrapped())) return;
      await this.#greet();
      this.connection.start();
    } catch (error) {
      this.#onFailure(error);
    }
    await this.#closed;
    this.smtpd.sessions -= 1;
  }

  /** How often the client may do what; `undefined`: as often as it likes. */
  get limits(): ClientLimits | undefined {
    return this.#limits;
  }

  /** Logs what a rule did about the client, in Postfix's form. */
  logRule(action: RejectAction, text: string, recipient?: string): void {
    const { transaction, helo, client } = this;
    if (action === 'reject_warning') this.transcript?.note(text);
    this.smtpd.log.info({
      kind: 'reject',
      queueId: transaction?.message?.queueId || undefined,
      action,
      stage: this.stage,
      client: client.label,
      // What a milter says is logged as it says it.
      text:
        this.smtpd.parameters.soft_bounce && !action.startsWith('milter-') ? soften(text) : text,
      from: transaction?.sender.address,
      to: recipient,
      protocol: this.protocol,
      helo,
    });
  }

  /**
   * Goes through the restrictions of a stage that comes before RCPT. What they would rather refuse
   * later is remembered.
   *
   * @returns the reply that refuses; it is logged
   */
  async refusalAt(stage: 'client' | 'helo' | 'sender'): Promise<string | undefined> {
    const { client, helo } = this.#deferrals;
    const deferred = { client: undefined, helo: client, sender: helo ?? client }[stage];
    const decision = await this.smtpd.decide(this.smtpd.lists[stage], this, { deferred });
    if (stage === 'client') this.#deferrals = { client: decision.deferIfPermit };
    else if (stage === 'helo') this.#deferrals = { client, helo: decision.deferIfPermit };
    else if (this.transaction) this.transaction.deferIfPermit = decision.deferIfPermit;
    return this.#carryOut(decision);
  }

  /**
   * Goes through the restrictions for a recipient, for content, or for ETRN: what was put off counts
   * now.
   *
   * @returns the reply that refuses; it is logged
   */
  async refusal(
    stage: 'recipient' | 'data' | 'endOfData' | 'etrn',
    concern: Concern = {},
  ): Promise<string | undefined> {
    const { client, helo } = this.#deferrals;
    const isContent = stage === 'data' || stage === 'endOfData';
    if (isContent && this.smtpd.lists[stage].length === 0) return undefined;
    // Whatever more there is to the message, nobody will ever see it.
    if (this.transaction?.orders.isDiscarded === true) return undefined;
    const deferred = isContent ? undefined : (this.transaction?.deferIfPermit ?? helo ?? client);
    // Several recipients are none: what is decided is for all of them.
    const recipient =
      isContent && this.onlyRecipient !== undefined
        ? this.transaction?.firstRecipient
        : concern.recipient;
    const decision = await this.smtpd.decide(this.smtpd.lists[stage], this, {
      ...concern,
      recipient,
      deferred,
    });
    const address = recipient?.address;
    return this.#carryOut(decision, decision.deferIfPermit, address);
  }

  /** How often the client is connected now; 0 when it is not counted. */
  get connections(): number {
    return this.#limits?.connections ?? 0;
  }

  /** Counts what the client is about to do. @returns the reply when that is too often */
  overLimit(event: LimitedEvent): Promise<string | undefined> | undefined {
    return this.#limits?.refusal(event);
  }

  /** Bytes of the message at hand: those that have come, else those that were announced. */
  get messageBytes(): number {
    return this.#sink?.reader.sizeBytes || (this.transaction?.declaredBytes ?? 0);
  }

  /** The recipient, if there is just one. */
  get onlyRecipient(): string | undefined {
    const { recipients = [] } = this.transaction ?? {};
    return recipients.length === 1 ? recipients[0] : undefined;
  }

  /**
   * Logs a decision, and does what it says to the message.
   *
   * @param deferral what to answer when nothing refuses
   * @returns the reply that refuses
   */
  #carryOut(
    { notes, effects, refusal }: Decision,
    deferral?: string,
    recipient?: string,
  ): string | undefined {
    for (const note of notes) {
      if ('action' in note) this.logRule(note.action, note.text, recipient);
      else this.smtpd.log[note.severity](note.text);
    }
    if (this.transaction !== undefined) {
      for (const effect of effects) order(this.transaction.orders, effect);
    }
    if (refusal !== undefined || deferral === undefined) return refusal;
    if (this.transaction?.orders.isDiscarded === true) return undefined;
    this.logRule('reject', deferral, recipient);
    return deferral;
  }

  /** Forgets the message at hand; cleanup drops what it has of it. */
  reset(): void {
    const message = this.transaction?.message;
    this.transaction = undefined;
    this.chunks = undefined;
    this.forwarded = undefined;
    message?.abort();
    this.milters?.reset();
  }

  async #identify(): Promise<void> {
    const { smtpd } = this;
    const { smtpd_peername_lookup, smtpd_client_port_logging } = smtpd.parameters;
    const { address } = this.client;
    if (smtpd_peername_lookup) {
      const { warning, ...names } = await lookupClientName(address, smtpd.resolver);
      this.client = { ...this.client, ...names };
      if (warning !== undefined) smtpd.log.warn(warning);
    }
    this.client = { ...this.client, label: labelOf(this.client, smtpd_client_port_logging) };
    smtpd.log.info({ kind: 'connect', client: this.client.label });
    this.client = await smtpd.recognize(this.client);
  }

  /** With TLS from the beginning, that comes first. @returns whether the session goes on */
  async #startWrapped(): Promise<boolean> {
    if (this.smtpd.tls?.demands.isWrapped !== true || this.isEncrypted) return true;
    this.#limits = await this.smtpd.limitsOf(this.client);
    const unwanted = await startWrapped(this);
    if (unwanted === undefined) return true;
    if (unwanted !== 'gone') this.#send(unwanted);
    await this.#closed;
    return false;
  }

  async #greet(): Promise<void> {
    const { smtpd } = this;
    const { parameters } = smtpd;
    this.connection.setTimeLimit({
      seconds: this.#pace.smtpd_timeout,
      perRequest: this.#pace.smtpd_per_request_deadline,
      bytesPerSecond: parameters.smtpd_min_data_rate,
    });
    if (this.#isUnproxied) {
      return this.#send({ reply: `421 4.3.0 ${parameters.myhostname} Server local error` });
    }
    const tooMany = await this.#countIn(this.#limits);
    if (tooMany !== undefined) return this.#send({ reply: tooMany, closes: true });
    this.#send(await this.#greeting());
  }

  /** What the client hears first. */
  async #greeting(): Promise<Answer> {
    const { smtpd_delay_reject, smtpd_banner } = this.smtpd.parameters;
    if (this.#isOutOfStep()) return OUT_OF_STEP;
    this.#refused = smtpd_delay_reject ? undefined : await this.refusalAt('client');
    if (this.#refused !== undefined) return { reply: this.#refused };
    this.milters = await this.smtpd.milterChoice?.of(this);
    return (await this.milters?.connect()) ?? { reply: `220 ${smtpd_banner}` };
  }

  /**
   * Begins anew with another client on the same connection. What the first did wrong still counts.
   *
   * @returns the greeting
   */
  async restart(
    client: Client,
    { helo, protocol }: Pick<Session, 'helo' | 'protocol'>,
  ): Promise<Answer> {
    this.reset();
    this.milters?.quit(helo);
    this.milters = undefined;
    this.helo = helo;
    this.protocol = protocol;
    this.#deferrals = {};
    this.client = await this.smtpd.recognize(client);
    // Who may speak for others has no limits; those it speaks for have.
    const tooMany = await this.#countIn();
    const answer =
      tooMany === undefined ? await this.#greeting() : { reply: tooMany, closes: true };
    return { ...answer, isError: false, isUncounted: true };
  }

  /** @returns the reply for a client that comes too often */
  async #countIn(known?: ClientLimits): Promise<string | undefined> {
    const limits = known ?? (await this.smtpd.limitsOf(this.client));
    // It may have gone while we looked up who it is.
    if (this.#hasEnded) return undefined;
    this.#limits = limits;
    return limits?.connect();
  }

  #onLine(line: Line): Promise<void> | void {
    const { parameters } = this.smtpd;
    this.transcript?.heard(this.#asked === undefined ? line : HIDDEN);
    if (this.#asked !== undefined) return this.#takeResponse(this.#asked, line);
    if (line.isCut) {
      const start = withoutSecrets(this.stage, line.text.slice(0, SHOWN_LONG_MAX));
      const { line_length_limit: limit } = parameters;
      this.smtpd.log.warn(`${this.client.label}: request longer than ${limit}: ${start}...`);
    }
    if (line.isBare && this.client.newlines === 'reject') return this.#refuseBareLineFeed();
    if (!line.isUtf8 && parameters.smtputf8_enable) return this.#answerError(UTF8_ERROR);
    const { commandFilter } = this.smtpd;
    if (commandFilter !== undefined) return this.#filter(line, commandFilter);
    return this.#understand(line);
  }

  async #filter(line: Line, tables: TableList): Promise<void> {
    const { smtpd, client } = this;
    const text = await filteredCommand(line.text, tables, client.label, smtpd.log);
    if (text !== undefined) return this.#understand({ ...line, text });
    const reply = `421 4.3.0 ${smtpd.parameters.myhostname} Server local data error`;
    smtpd.log.info(`NOQUEUE: reject: ${this.stage} from ${client.label}: ${reply}`);
    return this.#answer({ reply, closes: true });
  }

  #understand(line: Line): Promise<void> | void {
    const words = splitWords(line.text);
    const word = words[0]?.text;
    if (word === undefined) return this.#answerError(SYNTAX_ERROR);
    if (this.smtpd.hasIgnoredCommands) return this.#takeUnlessIgnored(word, words, line);
    return this.#take(word, words, line);
  }

  async #takeUnlessIgnored(word: string, words: readonly Word[], line: Line): Promise<void> {
    if (!(await this.smtpd.isIgnored(word))) return this.#take(word, words, line);
    await this.#answer({ reply: '250 2.0.0 Ok' });
    this.#countJunk();
    this.#endIfTooManyErrors();
  }

  async #takeResponse({ question, command }: Asked, line: Line): Promise<void> {
    this.#asked = undefined;
    this.connection.setLineLimit(this.smtpd.parameters.line_length_limit);
    await this.#finish(command, await question.answer(line));
  }

  #take(word: string, words: readonly Word[], line: Line): Promise<void> | void {
    this.commandLine = line.text;
    const command = findCommand(word);
    this.counts.start(command?.counted ?? 'unknown');
    if (command === undefined) return this.#refuseUnknown(word, line);
    if (this.#refused !== undefined && command.name !== 'QUIT') return this.#refuseRefused();
    this.stage = command.name;
    const early = refusalBeforeTls(this, command.name);
    if (early !== undefined) return this.#finish(command, early);
    const mayPipeline = this.protocol === 'ESMTP' && command.mayPipeline === true;
    if (!mayPipeline && this.#isOutOfStep()) return this.#answer(OUT_OF_STEP);
    const answer = command.run(this, words);
    if (answer instanceof Promise) return answer.then((known) => this.#finish(command, known));
    return this.#finish(command, answer);
  }

  async #refuseUnknown(word: string, { text, isUtf8 }: Line): Promise<void> {
    const { smtpd } = this;
    this.stage = 'UNKNOWN';
    if (HEADER_NAME.test(word) || (await smtpd.isForbidden(word))) {
      const shown = escapeBytes(Buffer.from(text, isUtf8 ? 'utf8' : 'latin1')).slice(0, SHOWN_MAX);
      smtpd.log.warn(`non-SMTP command from ${this.client.label}: ${shown}`);
      return this.#answer(GOODBYE);
    }
    if (this.#refused !== undefined) return this.#refuseRefused();
    const reply = await this.milters?.unknown(word);
    return this.#answerError(reply === undefined ? UNKNOWN_ERROR : { reply });
  }

  /** A client that was refused when it connected may only leave. */
  #refuseRefused(): Promise<void> | void {
    return this.#answerError({ reply: `503 5.7.0 Error: access denied for ${this.client.label}` });
  }

  #refuseBareLineFeed(): Promise<void> | void {
    const { myhostname, smtpd_forbid_bare_newline_reject_code: code } = this.smtpd.parameters;
    this.logRule('reject', 'bare <LF> received', this.transaction?.recipients[0]);
    const reply = `${code} 5.5.2 ${myhostname} Error: bare <LF> received`;
    return this.#answer({ reply, closes: true });
  }

  /**
   * Whether the client did not wait for our reply where it has to (RFC 2920), and is to be sent away
   * for it. The log says so once.
   */
  #isOutOfStep(): boolean {
    const { smtpd, connection } = this;
    if (this.pipelined || !connection.hasPending || smtpd.isStandalone) return false;
    this.pipelined = true;
    const pending = escapeBytes(connection.pending.subarray(0, SHOWN_MAX));
    const shown = withoutSecrets(this.stage, pending);
    smtpd.log.info(
      `improper command pipelining after ${this.stage} from ${this.client.label}: ${shown}`,
    );
    return smtpd.parameters.smtpd_forbid_unauth_pipelining;
  }

  /** Counts a command, and sends the answer to it. */
  #finish(command: Command, answer: Answer): Promise<void> | void {
    const failed = isError(answer);
    const isOver = answer.content === undefined && answer.question === undefined;
    const isDone = !failed && isOver && answer.isUncounted !== true;
    if (isDone) this.#count(command.counted, answer);
    const sent = this.#answer(answer);
    if (sent instanceof Promise) return sent.then(() => this.#afterAnswer(command, answer, failed));
    this.#afterAnswer(command, answer, failed);
  }

  #afterAnswer(command: Command, { content, question }: Answer, failed: boolean): void {
    if (question !== undefined) {
      this.#asked = { question, command };
      this.connection.setLineLimit(question.lineBytesMax);
      return;
    }
    if (content !== undefined) {
      this.#sink = content;
      this.connection.expectContent(content.reader);
      return;
    }
    if (failed) this.#errors += 1;
    if (command.isJunk === true) this.#countJunk();
    this.#endIfTooManyErrors();
  }

  /** A command went well. */
  #count(command: CountedCommand, { forgives }: Answer): void {
    this.counts.succeed(command);
    if (forgives !== true) return;
    this.transcript?.forgive();
    this.#errors = 0;
    this.#junk = 0;
  }

  #countJunk(): void {
    this.#junk += 1;
    if (this.#junk > this.#pace.smtpd_junk_command_limit + 1) this.#errors += 1;
  }

  async #onContentEnd(): Promise<void> {
    const sink = this.#sink;
    if (sink === undefined) return;
    const answer = await sink.finish();
    this.#sink = undefined;
    const failed = isError(answer);
    if (!failed) this.#count(sink.counted, answer);
    await this.#answer(answer);
    this.endChapter();
    if (failed) this.#errors += 1;
    this.#endIfTooManyErrors();
  }

  /** Answers what is not even a command. */
  #answerError(answer: Answer): Promise<void> | void {
    const sent = this.#answer(answer);
    this.#errors += 1;
    if (sent instanceof Promise) return sent.then(() => this.#endIfTooManyErrors());
    this.#endIfTooManyErrors();
  }

  #endIfTooManyErrors(): void {
    const { myhostname } = this.smtpd.parameters;
    const { smtpd_hard_error_limit: limit } = this.#pace;
    if (this.#errors < limit || this.#isEnding) return;
    this.#logLost('too many errors');
    this.#send({ reply: `421 4.7.0 ${myhostname} Error: too many errors`, closes: true });
  }

  /** Sends an answer; late, to those who have made many errors. */
  #answer(answer: Answer): Promise<void> | void {
    if (answer.reply !== '' && answer.reply.length === 0) return;
    const { smtpd_soft_error_limit: limit, smtpd_error_sleep_time: seconds } =
      this.smtpd.parameters;
    if (this.#errors < limit || seconds === 0) return this.#send(answer);
    return sleep(seconds * 1000).then(() => this.#send(answer));
  }

  #send({ reply, closes }: Answer): void {
    const plain = typeof reply === 'string' ? [reply] : reply;
    const lines = this.smtpd.hasFooters && isError({ reply }) ? this.#withFooter(plain) : plain;
    const soft = this.smtpd.parameters.soft_bounce ? lines.map(soften) : lines;
    // Access tables may have a client hung up on without a word.
    const hangsUp = reply === '';
    if (!hangsUp) this.connection.write(`${soft.join('\r\n')}\r\n`);
    this.transcript?.said(soft);
    if (closes === true || hangsUp || isFarewell(soft[0] ?? '')) this.#end();
  }

  #withFooter(lines: readonly string[]): readonly string[] {
    const { client, helo, transaction } = this;
    // A recipient that was refused is none any more; Postfix, too, has none here.
    const facts = { client, helo, sender: transaction?.sender.address, recipient: undefined };
    return this.smtpd.addFooter(lines, facts);
  }

  /** Nothing more will be answered. */
  #end(): void {
    this.#isEnding = true;
    this.connection.end(this.stage === 'QUIT');
    this.#conclude();
  }

  #onInputEnd(): void {
    this.#logLost('lost connection');
    this.#end();
  }

  #onTimeout(): void {
    this.#logLost('timeout');
    const { myhostname } = this.smtpd.parameters;
    this.#send({ reply: `421 4.4.2 ${myhostname} Error: timeout exceeded`, closes: true });
  }

  #onEndlessLine(): void {
    const { myhostname, line_length_limit: limit } = this.smtpd.parameters;
    this.smtpd.log.warn(
      `${this.client.label}: request longer than ${limit}, and no end of line: good bye`,
    );
    this.#send({ reply: `421 4.7.0 ${myhostname} Error: command too long`, closes: true });
  }

  #onFailure(error: unknown): void {
    this.smtpd.log.error(
      `session with ${this.client.label} failed after ${this.stage}: ${describeFailure(error)}`,
    );
    const { myhostname } = this.smtpd.parameters;
    this.#send({ reply: `421 4.3.0 ${myhostname} Error: internal error`, closes: true });
  }

  #onClose(): void {
    if (!this.#isEnding) this.#logLost('lost connection');
    this.#conclude();
    this.#resolveClosed();
  }

  /** The last line of the log, as soon as we have closed; the client may take longer. */
  #conclude(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.reset();
    this.#asked?.question.cancel();
    this.milters?.quit();
    const { transcript, client } = this;
    const told = transcript && this.smtpd.notices?.end(transcript, client.label);
    if (told === undefined) this.#sayGoodbye();
    else told.then(() => this.#sayGoodbye()).catch((error) => this.#onFailure(error));
  }

  /** The last line of the log. */
  #sayGoodbye(): void {
    this.smtpd.log.info({
      kind: 'disconnect',
      client: this.client.label,
      counts: this.counts.list(),
    });
    this.#limits?.disconnect().catch((error) => {
      this.smtpd.log.error(`cannot count ${this.client.label} out: ${describeFailure(error)}`);
    });
  }

  /** Postmaster is told of what happened so far, when that was much. */
  endChapter(): void {
    const { transcript, client } = this;
    const told = transcript && this.smtpd.notices?.endChapter(transcript, client.label);
    told?.catch((error) => this.#onFailure(error));
  }

  #logLost(why: 'lost connection' | 'timeout' | 'too many errors'): void {
    this.transcript?.aborted(why);
    // A client that leaves after its message has nothing to say: many don't bother to QUIT.
    if (this.stage === 'END-OF-MESSAGE' && why === 'lost connection') return;
    const isChunk = this.stage === BDAT_CONTENT;
    const chunks = typeof this.chunks === 'object' ? this.chunks.reader : undefined;
    this.smtpd.log.info({
      kind: 'session-lost',
      why,
      stage: isChunk ? 'BDAT' : this.stage,
      client: this.client.label,
      receivedBytes: isChunk ? (chunks?.receivedBytes ?? 0) : this.#sink?.reader.sizeBytes,
    });
  }
}
