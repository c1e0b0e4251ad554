/**
 * The milters of one client: told of each step of the session, and handed to cleanup with the content
 * of a message. A verdict becomes a reply, or an order about the message at hand. Postfix: smtpd(8),
 * MILTER_README.
 */
import type { CleanupMessage } from '../../lib/clients/cleanup.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { fromText } from '../../lib/message/byte-string.ts';
import { formatPlaceholder, sendMilters } from '../../lib/milter/hand-over.ts';
import { parseMacroDefaults } from '../../lib/milter/macros.ts';
import type { MilterSurroundings } from '../../lib/milter/milter.ts';
import { Milters } from '../../lib/milter/milters.ts';
import {
  type MilterParameters,
  type MilterSettings,
  macroLists,
  parseMilters,
} from '../../lib/milter/settings.ts';
import { SHUTDOWN_REPLY, type Verdict } from '../../lib/milter/verdict.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import { openTables, TableError, type TableList } from '../../lib/table/table.ts';
import { UNKNOWN } from './client-name.ts';
import { type MilterFacts, milterMacro } from './milter-macros.ts';
import type { Session } from './session.ts';
import type { GivenAddress } from './transaction.ts';

type Parameters = MilterParameters & {
  readonly smtpd_milters: string;
  readonly smtpd_milter_maps: string;
  readonly myhostname: string;
  readonly soft_bounce: boolean;
};

interface Options {
  readonly parameters: Parameters;
  readonly log: Log;
  readonly resolver: Resolver;
  readonly tables: TableWatch;
}

/** In a table: the client has none. */
const DISABLE = 'disable';

/** Which milters a client has. */
export class MilterChoice {
  readonly #around: MilterSurroundings;
  readonly #parameters: Parameters;
  readonly #usual: readonly MilterSettings[];
  readonly #maps: TableList;

  private constructor({ parameters, log, resolver, tables }: Options) {
    this.#parameters = parameters;
    this.#around = {
      log,
      resolver,
      lists: macroLists(parameters),
      macroDefaults: parseMacroDefaults(parameters.milter_macro_defaults),
      softBounce: parameters.soft_bounce,
    };
    this.#usual = parseChoice(parameters.smtpd_milters, parameters);
    const parameter = 'smtpd_milter_maps';
    this.#maps = openTables(parameters[parameter], { ...tables, parameter });
  }

  /** @returns undefined when nobody has milters */
  static open(options: Options): MilterChoice | undefined {
    const { smtpd_milters, smtpd_milter_maps } = options.parameters;
    if (smtpd_milters === '' && smtpd_milter_maps === '') return undefined;
    return new MilterChoice(options);
  }

  async of(session: Session): Promise<SessionMilters | undefined> {
    const settings = await this.#settingsOf(session.client.address);
    if (settings.length === 0) return undefined;
    return new SessionMilters(session, settings, this.#around);
  }

  async #settingsOf(address: string): Promise<readonly MilterSettings[]> {
    if (this.#maps.tables.length === 0) return this.#usual;
    try {
      const found = await this.#maps.lookup(address);
      return found === undefined ? this.#usual : parseChoice(found.value, this.#parameters);
    } catch (error) {
      if (!(error instanceof TableError) && !(error instanceof FatalError)) throw error;
      this.#around.log.warn(`smtpd_milter_maps: ${error.message}: using smtpd_milters`);
      return this.#usual;
    }
  }
}

function parseChoice(text: string, parameters: MilterParameters): MilterSettings[] {
  return text.trim().toLowerCase() === DISABLE ? [] : parseMilters(text, parameters);
}

export class SessionMilters {
  readonly #session: Session;
  readonly #milters: Milters;
  readonly #around: MilterSurroundings;
  /** They were told of the message at hand, and have to be told when it is over. */
  #isTold = false;
  #sender: GivenAddress | undefined;
  #recipient: GivenAddress | undefined;
  #refusal: string | undefined;

  constructor(session: Session, settings: readonly MilterSettings[], around: MilterSurroundings) {
    this.#session = session;
    this.#around = around;
    this.#milters = Milters.prepare(settings, around, (name) => milterMacro(name, this.#facts()));
  }

  /** @returns the greeting that turns the client away; as in Sendmail, only what is for good does */
  async connect(): Promise<{ reply: string; closes?: boolean } | undefined> {
    const { client, smtpd } = this.#session;
    const verdict = await this.#milters.connect({
      name: client.name === UNKNOWN ? `[${client.address}]` : client.name,
      address: client.address,
      port: Number(client.port) || 0,
    });
    const reply = this.#replyTo(verdict)?.[0];
    const { myhostname } = smtpd.parameters;
    if (reply?.startsWith('421')) {
      return { reply: `421 ${myhostname} Service unavailable - try again later`, closes: true };
    }
    return reply?.startsWith('5')
      ? { reply: `554 ${myhostname} ESMTP not accepting connections` }
      : undefined;
  }

  /**
   * Tells them of HELO or EHLO. As in Sendmail, a refusal is put off until the client wants
   * something.
   *
   * @returns the reply that ends the session; `isRefused`: nothing is to be offered
   */
  async helo(name: string): Promise<{ farewell?: readonly string[]; isRefused: boolean }> {
    if (this.#isDiscarded) return { isRefused: false };
    const reply = this.#replyTo(await this.#milters.helo(fromText(name)));
    const code = reply?.[0] ?? '';
    if (reply !== undefined && code.startsWith('421')) return { farewell: reply, isRefused: true };
    return { isRefused: code.startsWith('5') };
  }

  /** @returns the reply that refuses */
  async mail(
    words: readonly string[],
    sender: GivenAddress,
  ): Promise<readonly string[] | undefined> {
    this.#isTold = true;
    this.#sender = sender;
    return this.#replyTo(await this.#milters.mail(words.map(fromText)));
  }

  /**
   * Tells them of a recipient, and those who want to know of one that we refuse.
   *
   * @returns the reply that refuses it: ours, or theirs
   */
  async rcpt(
    words: readonly string[],
    recipient: GivenAddress,
    refusal: string | undefined,
  ): Promise<string | readonly string[] | undefined> {
    if (this.#isDiscarded) return refusal;
    const first = this.#recipient;
    this.#recipient = recipient;
    this.#refusal = refusal;
    const verdict = await this.#milters.rcpt(words.map(fromText), refusal !== undefined);
    const reply = refusal ?? this.#replyTo(verdict, recipient.address);
    this.#refusal = undefined;
    this.#recipient = first ?? (reply === undefined ? recipient : undefined);
    return reply;
  }

  async data(): Promise<readonly string[] | undefined> {
    return this.#isDiscarded ? undefined : this.#replyTo(await this.#milters.data());
  }

  /** @param word the first of the command; Postfix does not tell more */
  async unknown(word: string): Promise<readonly string[] | undefined> {
    if (this.#isDiscarded) return undefined;
    return this.#replyTo(await this.#milters.unknown(fromText(word)));
  }

  /** The reply to whatever else the client wants, when it was refused as a whole. */
  refusal(): readonly string[] | undefined {
    const { standing } = this.#milters;
    return standing?.kind === 'reply' ? linesOf(standing.text) : undefined;
  }

  /** The same for STARTTLS and AUTH, after which a client goes on: for now means for now. */
  lateRefusal(): readonly string[] | undefined {
    const reply = this.refusal();
    return reply?.[0]?.startsWith('4') ? ['454 4.3.0 Try again later'] : reply;
  }

  /** What a message's record stream begins with. */
  placeholder(): Buffer {
    return formatPlaceholder();
  }

  /** Hands them to cleanup, before it gets the content. */
  async handOver(message: CleanupMessage): Promise<void> {
    if (this.#isDiscarded) return;
    try {
      await message.borrow?.((connection) => sendMilters(connection, this.#milters, this.#around));
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      this.#around.log.warn(error.message);
      // What is unfiltered is not to be accepted; the client hears of it behind the content.
      message.abort();
    }
  }

  /** The message at hand is over. */
  reset(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#sender = undefined;
    this.#recipient = undefined;
    this.#milters.abort();
  }

  /** The client says HELO again. */
  restart(): void {
    this.#milters.abort();
  }

  /**
   * The client leaves, or speaks for another.
   *
   * @param helo what the other is known to have said
   */
  quit(helo?: string): void {
    if (this.#session.helo !== undefined && helo === undefined) this.restart();
    this.#milters.quit();
  }

  get #isDiscarded(): boolean {
    return this.#session.transaction?.orders.isDiscarded === true;
  }

  /** Logs a verdict and carries it out. @returns the reply, if it is one that refuses */
  #replyTo(verdict: Verdict | undefined, recipient?: string): readonly string[] | undefined {
    if (verdict === undefined) return undefined;
    const { transaction } = this.#session;
    const to = recipient ?? transaction?.recipients[0];
    switch (verdict.kind) {
      case 'hold':
        if (transaction !== undefined) transaction.orders.isHeld = true;
        this.#session.logRule('milter-hold', 'milter triggers HOLD action', to);
        return undefined;
      case 'discard':
        if (transaction !== undefined) transaction.orders.isDiscarded = true;
        this.#session.logRule('milter-discard', 'milter triggers DISCARD action', to);
        return undefined;
      case 'shutdown':
        this.#session.logRule('milter-reject', SHUTDOWN_REPLY, to);
        return [SHUTDOWN_REPLY];
      case 'reply':
        this.#session.logRule('milter-reject', verdict.text, to);
        return linesOf(verdict.text);
    }
  }

  #facts(): MilterFacts {
    const { client, tls, transaction, smtpd, connections } = this.#session;
    return {
      client,
      tls,
      connections,
      queueId: transaction?.message?.queueId,
      sender: this.#sender,
      saslSender: transaction?.saslSender,
      recipient: this.#recipient,
      refusal: this.#refusal,
      settings: smtpd.parameters,
      resolveNull: () => smtpd.resolve('', ''),
    };
  }
}

function linesOf(text: string): string[] {
  return text.split('\r\n');
}
