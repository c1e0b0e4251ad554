/**
 * Milters of a message: those that smtpd has asked before, or our own for mail that came another way,
 * to whom an SMTP session is played. They see the content when all of it is in the queue file, and
 * change it there. Postfix: cleanup(8), MILTER_README.
 */
import { quote } from '../../lib/address/address.ts';
import { splitList } from '../../lib/config/list.ts';
import { openResolver } from '../../lib/dns/resolver.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import type { Log } from '../../lib/log/log.ts';
import { toLogText } from '../../lib/message/byte-string.ts';
import { showContent } from '../../lib/milter/content.ts';
import { receiveMilters } from '../../lib/milter/hand-over.ts';
import { parseMacroDefaults } from '../../lib/milter/macros.ts';
import type { MilterSurroundings } from '../../lib/milter/milter.ts';
import { Milters } from '../../lib/milter/milters.ts';
import { type MilterSettings, macroLists, parseMilters } from '../../lib/milter/settings.ts';
import { SHUTDOWN_REPLY, type Verdict } from '../../lib/milter/verdict.ts';
import type { Message } from './message.ts';
import { MessageEdits } from './milter-edits.ts';
import { MilterHeaderChecks } from './milter-header-checks.ts';
import { FLAG, STATUS } from './protocol.ts';
import type { CleanupParameters } from './settings.ts';
import { StoredContent } from './stored-content.ts';

/** What there is to know about milters, the same for all messages. */
export interface MilterOptions {
  readonly around: MilterSurroundings;
  /** `non_smtpd_milters`. */
  readonly own: readonly MilterSettings[];
}

export function openMilters(parameters: CleanupParameters, log: Log): MilterOptions {
  const own = parseMilters(parameters.non_smtpd_milters, parameters);
  return {
    own,
    around: {
      log,
      // Those that smtpd hands us are connected already.
      resolver:
        own.length === 0
          ? undefined
          : openResolver({ nameservers: splitList(parameters.dns_nameservers) }),
      lists: macroLists(parameters),
      macroDefaults: parseMacroDefaults(parameters.milter_macro_defaults),
      softBounce: parameters.soft_bounce,
    },
  };
}

/** What a client is when nobody says who it was. */
const LOCAL = { name: 'localhost', address: '127.0.0.1' };

export class MessageMilters {
  readonly #message: Message;
  readonly #milters: Milters;
  /** They are ours: the end of the message is the end of their session. */
  readonly #isOwn: boolean;
  /** The sender and the recipient at hand, as they are told. */
  #sender: string | undefined;
  #recipient: string | undefined;

  private constructor(message: Message, make: (macro: MacroLookup) => Milters, isOwn: boolean) {
    this.#message = message;
    this.#milters = make((name) => this.#macro(name));
    this.#isOwn = isOwn;
  }

  /** Takes over those that smtpd hands us. @throws {IpcError} */
  static async receive(
    message: Message,
    connection: IpcConnection,
    count: number,
  ): Promise<MessageMilters> {
    const { around } = message.surroundings.milters;
    if (count <= 0) return new MessageMilters(message, (macro) => new Milters([], macro), false);
    let lookup: MacroLookup = () => undefined;
    const milters = await receiveMilters(connection, count, around, (name) => lookup(name));
    return new MessageMilters(
      message,
      (macro) => {
        lookup = macro;
        return milters;
      },
      false,
    );
  }

  /** Ours, for a message of which smtpd knows nothing. */
  static prepare(message: Message): MessageMilters {
    const { own, around } = message.surroundings.milters;
    return new MessageMilters(message, (macro) => Milters.prepare(own, around, macro), true);
  }

  /** Plays the begin of a session to our own milters. */
  async beginSession(): Promise<void> {
    const message = this.#message;
    if (!this.#isOwn || !isFiltered(message)) return;
    const { attributes } = message;
    const client = this.#client;
    const port = Number(attributes.get('client_port')) || 0;
    if (this.#apply('CONNECT', await this.#milters.connect({ ...client, port }))) return;
    const helo = attributes.get('helo_name') ?? client.name;
    if (isFiltered(message) && this.#apply('EHLO', await this.#milters.helo(helo))) return;
    if (!isFiltered(message)) return;
    // Sendmail, too, leaves the null address as it is.
    this.#sender = message.sender === '' ? '' : quote(message.sender ?? '');
    this.#apply('MAIL', await this.#milters.mail([this.#sender]));
  }

  async addRecipient(): Promise<void> {
    const message = this.#message;
    if (!this.#isOwn || !isFiltered(message)) return;
    this.#recipient = quote(message.recipient ?? '');
    const verdict = await this.#milters.rcpt([this.#recipient]);
    if (!this.#apply('RCPT', verdict) || verdict?.kind !== 'reply') return;
    // Nobody is there any more who could be told of one recipient.
    message.warn("milter configuration error: can't reject recipient in non-smtpd(8) submission");
    message.warn('message not accepted, try again later');
    message.fail(STATUS.DEFER, '4.3.5 Server configuration error');
  }

  /** Shows them the content, and does what they say. */
  async inspect(): Promise<void> {
    const message = this.#message;
    if (this.#isOwn && isFiltered(message)) this.#apply('DATA', await this.#milters.data());
    if (!isFiltered(message) || this.#milters.list.length === 0) return;
    await message.flush();
    if (!message.writes) return;
    message.beginEdits();
    const content = new StoredContent(message);
    const { milterHeaderChecks: tables } = message.settings;
    const { name, address } = this.#client;
    const checks = tables && new MilterHeaderChecks(message, tables, `${name}[${address}]`);
    const edits = new MessageEdits(message, checks);
    for (const milter of this.#milters.list) {
      const verdict = await showContent(milter, content, edits, (macro) => this.#macro(macro));
      this.#apply('END-OF-MESSAGE', verdict);
      if (verdict !== undefined) break;
    }
    if (message.writes) await checks?.finish();
  }

  /** The message is over. */
  close(): void {
    if (this.#isOwn) this.#milters.quit();
    else this.#milters.release();
  }

  /** Whether the message tells of a client. */
  get #hasClient(): boolean {
    return CLIENT.every((name) => this.#message.attributes.has(name));
  }

  get #client(): { readonly name: string; readonly address: string } {
    const { attributes } = this.#message;
    const name = attributes.get('client_name');
    const address = attributes.get('client_address');
    if (name === undefined || address === undefined || !this.#hasClient) return LOCAL;
    return { name, address };
  }

  /** Logs a verdict and carries it out. @returns whether there was one */
  #apply(event: string, verdict: Verdict | undefined): boolean {
    const message = this.#message;
    // Whoever could not make a change has said why.
    if (message.errors !== 0 || message.has(FLAG.DISCARD)) return verdict !== undefined;
    switch (verdict?.kind) {
      case undefined:
        return false;
      case 'hold':
        if (message.has(FLAG.HOLD)) return true;
        message.flags |= FLAG.HOLD;
        this.#log('milter-hold', event, 'milter triggers HOLD action');
        return true;
      case 'discard':
        message.flags |= FLAG.DISCARD;
        this.#log('milter-discard', event, 'milter triggers DISCARD action');
        return true;
      case 'shutdown':
        this.#refuse(event, SHUTDOWN_REPLY);
        return true;
      case 'reply':
        this.#refuse(event, verdict.text);
        return true;
    }
  }

  #refuse(event: string, reply: string): void {
    const message = this.#message;
    const text = reply.slice(4);
    const status = reply.startsWith('4') ? STATUS.DEFER : STATUS.CONT;
    message.fail(status, message.has(FLAG.SMTP_REPLY) ? reply : text);
    this.#log('milter-reject', event, text);
  }

  #log(action: string, part: string, text: string): void {
    const message = this.#message;
    const optional = (value: string | undefined) =>
      value === undefined ? undefined : toLogText(value);
    const { name, address } = this.#client;
    message.info({
      kind: 'content',
      queueId: message.id,
      action,
      part,
      client: toLogText(`${name}[${address}]`),
      from: optional(message.sender),
      to: optional(message.recipient),
      protocol: optional(message.attributes.get('log_protocol_name')),
      helo: optional(message.attributes.get('log_helo_name')),
      text: toLogText(text),
    });
  }

  #macro(name: string): string | undefined {
    const message = this.#message;
    const { attributes } = message;
    const { parameters } = message.settings;
    switch (name) {
      case '_': {
        const { name: verified, address } = this.#client;
        const reverse = attributes.get('reverse_client_name') ?? verified;
        const forged = reverse.toLowerCase() === verified.toLowerCase() ? '' : ' (may be forged)';
        return `${reverse} [${address}]${forged}`;
      }
      case 'i':
        return message.id;
      case 'j':
        return parameters.myhostname;
      case 'v':
        return parameters.milter_macro_v;
      case '{daemon_name}':
        return parameters.milter_macro_daemon_name;
      case '{client_addr}':
        return this.#client.address;
      case '{client_name}':
        return this.#client.name;
      case '{daemon_addr}':
        return attributes.get('server_address') ?? (this.#hasClient ? undefined : LOCAL.address);
      case '{daemon_port}':
        return attributes.get('server_port') ?? '0';
      case '{client_port}':
        return attributes.get('client_port') ?? '0';
      case '{client_ptr}':
        return attributes.get('reverse_client_name') ?? this.#client.name;
      case '{mail_addr}':
        return this.#sender;
      case '{rcpt_addr}':
        return this.#recipient;
      default: {
        const attribute = Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined;
        return attribute === undefined ? undefined : attributes.get(attribute);
      }
    }
  }
}

type MacroLookup = (name: string) => string | undefined;

/** What a message has to tell of its client, that we believe it. */
const CLIENT = ['client_name', 'client_address', 'client_address_type'];

/** Macros that are attributes of the message. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  '{auth_type}': 'sasl_method',
  '{auth_authen}': 'sasl_username',
  '{auth_author}': 'sasl_sender',
};

/** Whether milters have a say about it: not when it is refused already. */
function isFiltered(message: Message): boolean {
  return message.has(FLAG.MILTER) && message.errors === 0 && !message.has(FLAG.DISCARD);
}
