/**
 * smtpd_proxy_filter: a message goes to another SMTP server before it is in any queue, and what that
 * says is what the client hears. SMTPD_PROXY_README.
 *
 * To a session this is a message like one of cleanup's: it takes records. With `speed_adjust` they
 * wait in a file until the message is whole, so that the filter has few clients at a time.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { CleanupMessage, CleanupResult } from '../../lib/clients/cleanup.ts';
import { splitList } from '../../lib/config/list.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import { encodeXtext } from '../../lib/dsn/xtext.ts';
import { type AddressText, addressTextBy } from '../../lib/log/address-text.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordParser } from '../../lib/queue/record-parser.ts';
import type { Answer } from './answer.ts';
import { available, tagged, UNKNOWN } from './client-name.ts';
import {
  FILTER_TROUBLE,
  type FilterAddress,
  FilterConnection,
  FilterError,
} from './filter-connection.ts';
import type { Session } from './session.ts';

interface FilterParameters {
  readonly info_log_address_format: string;
  readonly smtpd_proxy_filter: string;
  readonly smtpd_proxy_options: string;
  readonly smtpd_proxy_timeout: number;
  readonly smtpd_proxy_ehlo: string;
}

const CRLF = Buffer.from('\r\n');
const DOT = Buffer.from('.');
const SPEED_ADJUST = 'speed_adjust';
/** A command of XFORWARD is no longer than this. */
const COMMAND_BYTES_MAX = 510;
const PIECE_BYTES = 64 * 1024;

/** The filter of this smtpd. */
export class BeforeQueue {
  readonly address: FilterAddress;
  readonly ehlo: string;
  readonly adjustsSpeed: boolean;
  readonly resolver: Resolver;
  readonly log: Log;
  readonly addressText: AddressText;
  #files = 0;

  constructor(parameters: FilterParameters, resolver: Resolver, log: Log) {
    const { smtpd_proxy_filter: text, smtpd_proxy_options, smtpd_proxy_timeout } = parameters;
    const options = splitList(smtpd_proxy_options);
    const unknown = options.find((word) => word.toLowerCase() !== SPEED_ADJUST);
    if (unknown !== undefined) {
      throw new FatalError(
        `smtpd_proxy_options: unknown option "${unknown}" (there is ${SPEED_ADJUST})`,
      );
    }
    this.address = { text, timeoutMs: smtpd_proxy_timeout * 1000 };
    this.ehlo = parameters.smtpd_proxy_ehlo;
    this.addressText = addressTextBy(parameters.info_log_address_format);
    this.adjustsSpeed = options.length > 0;
    this.resolver = resolver;
    this.log = log;
  }

  /**
   * Begins a message.
   *
   * @returns the reply that refuses it
   */
  async begin(session: Session): Promise<FilteredMessage | string> {
    const message = new FilteredMessage(this, session);
    const refusal = this.adjustsSpeed ? await message.store(this.#path()) : await message.connect();
    if (refusal === undefined) return message;
    message.abort();
    return refusal;
  }

  /** A file that nobody else ever sees: it has no name from the moment it is open. */
  #path(): string {
    this.#files += 1;
    return `incoming/.smtpd-${process.pid}-${this.#files}`;
  }
}

/** One message for the filter. */
export class FilteredMessage implements CleanupMessage {
  readonly queueId = '';
  readonly #filter: BeforeQueue;
  readonly #session: Session;
  readonly #mail: string;
  /** With `speed_adjust`: what the filter will be told. */
  readonly #recipients: string[] = [];
  readonly #parser = new RecordParser();
  #connection: FilterConnection | undefined;
  #file: FileHandle | undefined;
  #lastReply = '';
  #inContent = false;
  #atLineStart = true;
  #failure: string | undefined;

  constructor(filter: BeforeQueue, session: Session) {
    this.#filter = filter;
    this.#session = session;
    this.#mail = session.transaction?.command ?? '';
  }

  /** @returns the reply, when there can be no file */
  async store(path: string): Promise<string | undefined> {
    try {
      this.#file = await open(path, 'wx+', 0o600);
      await unlink(path);
      return undefined;
    } catch (error) {
      this.#filter.log.warn(`proxy speed-adjust log I/O error: ${(error as Error).message}`);
      return FILTER_TROUBLE;
    }
  }

  /** Introduces the client and its message to the filter. @returns the reply that refuses */
  async connect(): Promise<string | undefined> {
    const { address, ehlo, resolver, log } = this.#filter;
    return this.#guarded(async () => {
      const connection = await FilterConnection.open(address, resolver, log);
      this.#connection = connection;
      // A filter that takes no clients has trouble, which is none of this client's fault.
      if (!(await connection.ask(undefined, '2')).startsWith('2')) return FILTER_TROUBLE;
      const offer = await connection.ask(`EHLO ${ehlo}`, '2');
      if (!offer.startsWith('2')) return FILTER_TROUBLE;
      for (const command of forwardCommands(offer, this.#session)) {
        if (!(await connection.ask(command, '2')).startsWith('2')) return FILTER_TROUBLE;
      }
      const reply = await this.#ask(this.#mail, '2');
      return reply.startsWith('2') ? undefined : reply;
    });
  }

  /** @returns the reply that refuses the recipient */
  async recipient(command: string): Promise<string | undefined> {
    if (this.#file !== undefined) {
      this.#recipients.push(command);
      return undefined;
    }
    return this.#guarded(async () => {
      const reply = await this.#ask(command, '2');
      return reply.startsWith('2') ? undefined : reply;
    });
  }

  /** Content follows. @returns the reply that refuses it */
  async beginContent(): Promise<string | undefined> {
    if (this.#file !== undefined) return undefined;
    return this.#guarded(() => this.#data());
  }

  /** Records of content are lines; what cleanup would do with the others is not done here. */
  async write(records: Buffer): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#parser.push(records);
    const pieces: Buffer[] = [];
    while (this.#parser.next()) {
      const { type, bytes, start, end } = this.#parser;
      if (type !== RECORD.text && type !== RECORD.longText) continue;
      if (this.#atLineStart && bytes[start] === DOT[0] && end > start) pieces.push(DOT);
      // The parser's bytes are gone with its next chunk.
      pieces.push(Buffer.from(bytes.subarray(start, end)));
      this.#atLineStart = type === RECORD.text;
      if (this.#atLineStart) pieces.push(CRLF);
    }
    if (pieces.length > 0) await this.#put(Buffer.concat(pieces));
  }

  /** The end of the message: what the filter says is what the client hears. */
  async conclude(recipient: string | undefined): Promise<Answer> {
    const reply = await this.#conclude();
    const isTaken = reply.startsWith('2');
    this.#tell(isTaken ? 'accept' : 'reject', reply, recipient);
    return { reply: reply.split('\r\n'), forgives: isTaken };
  }

  /** We refuse it ourselves: the log has the filter's last word. */
  refuse(recipient: string | undefined): void {
    this.#tell('reject', this.#lastReply, recipient);
  }

  #tell(what: 'accept' | 'reject', reply: string, recipient: string | undefined): void {
    const { transaction, protocol, helo } = this.#session;
    const { addressText } = this.#filter;
    const from = addressText(transaction?.sender.address ?? '');
    const to = recipient === undefined ? '' : ` to=<${addressText(recipient)}>`;
    const said = reply.replace(/[\r\n]/g, '?');
    this.#filter.log.info(
      `proxy-${what}: END-OF-MESSAGE: ${said}; from=<${from}>${to}` +
        ` proto=${protocol}${helo === undefined ? '' : ` helo=<${helo}>`}`,
    );
  }

  async finish(): Promise<CleanupResult> {
    throw new Error('a filtered message has no queue file');
  }

  abort(): void {
    if (this.#inContent) this.#connection?.abort();
    else this.#connection?.quit();
    this.#connection = undefined;
    this.#file?.close().catch(() => {});
    this.#file = undefined;
  }

  async #conclude(): Promise<string> {
    if (this.#failure !== undefined) return this.#failure;
    const refusal = this.#file === undefined ? undefined : await this.#replay(this.#file);
    if (refusal !== undefined) return refusal;
    const trouble = await this.#guarded(async () => {
      await this.#ask('.', '');
      this.#inContent = false;
      return undefined;
    });
    return trouble ?? this.#lastReply;
  }

  /** Tells the filter all that was stored. */
  async #replay(file: FileHandle): Promise<string | undefined> {
    this.#file = undefined;
    try {
      const refusal = await this.connect();
      if (refusal !== undefined) return refusal;
      for (const command of this.#recipients) {
        const refused = await this.recipient(command);
        if (refused !== undefined) return refused;
      }
      return await this.#guarded(async () => {
        const refused = await this.#data();
        if (refused !== undefined) return refused;
        const piece = Buffer.alloc(PIECE_BYTES);
        for (let at = 0; ; ) {
          const { bytesRead } = await file.read(piece, 0, piece.length, at);
          if (bytesRead === 0) return undefined;
          at += bytesRead;
          await this.#connection?.send(Buffer.from(piece.subarray(0, bytesRead)));
        }
      });
    } finally {
      await file.close();
    }
  }

  async #data(): Promise<string | undefined> {
    const reply = await this.#ask('DATA', '3');
    if (!reply.startsWith('3')) return reply;
    this.#inContent = true;
    return undefined;
  }

  async #ask(command: string, wanted: '2' | '3' | ''): Promise<string> {
    if (this.#connection === undefined) throw new FilterError('there is no connection');
    this.#lastReply = await this.#connection.ask(command, wanted);
    return this.#lastReply;
  }

  async #put(bytes: Buffer): Promise<void> {
    await this.#guarded(async () => {
      if (this.#file !== undefined) await this.#file.appendFile(bytes);
      else await this.#connection?.send(bytes);
      return undefined;
    });
  }

  /** After trouble there is no connection, and nothing more is said to anybody. */
  async #guarded(action: () => Promise<string | undefined>): Promise<string | undefined> {
    if (this.#failure !== undefined) return this.#failure;
    try {
      const refusal = await action();
      if (refusal === FILTER_TROUBLE) this.#fail();
      return refusal;
    } catch (error) {
      if (!(error instanceof FilterError)) {
        this.#filter.log.warn(`proxy speed-adjust log I/O error: ${(error as Error).message}`);
      }
      this.#inContent = true;
      this.#fail();
      return FILTER_TROUBLE;
    }
  }

  #fail(): void {
    this.#failure = FILTER_TROUBLE;
    this.#lastReply = FILTER_TROUBLE;
    this.abort();
  }
}

/** Whether a message goes to a filter. */
export function isFiltered(message: CleanupMessage): message is FilteredMessage {
  return message instanceof FilteredMessage;
}

/** Tells a filter that content follows. @returns the reply that refuses it */
export async function declineContent(message: CleanupMessage): Promise<string | undefined> {
  return isFiltered(message) ? message.beginContent() : undefined;
}

/** The client's client, or the client, as far as the filter wants to know. */
function forwardCommands(offer: string, session: Session): string[] {
  const [, wanted = ''] = /^250[- ]XFORWARD[ ]+(.*)$/im.exec(offer.replaceAll('\r', '')) ?? [];
  const names = new Set(wanted.toUpperCase().split(/\s+/));
  const { client, helo, protocol, forwarded } = session;
  const origin = forwarded?.client;
  const values: readonly (readonly [name: string, value: string | undefined])[] = [
    ['NAME', origin?.name ?? client.name],
    ['ADDR', tagged(origin?.address ?? client.address)],
    ['PORT', origin?.port ?? client.port],
    ['HELO', origin === undefined ? helo : available(origin.helo)],
    ['IDENT', forwarded?.ident],
    ['PROTO', origin?.protocol ?? protocol],
    [
      'SOURCE',
      (forwarded?.rewriteContext ?? (client.isLocalRewrite ? 'local' : 'remote')).toUpperCase(),
    ],
  ];
  const commands: string[] = [];
  let command = '';
  for (const [name, value = UNKNOWN] of values) {
    if (!names.has(name)) continue;
    const shown = value === UNKNOWN || value === '' ? '[UNAVAILABLE]' : encodeXtext(value);
    const attribute = ` ${name}=${shown}`;
    if (command !== '' && command.length + attribute.length > COMMAND_BYTES_MAX) {
      commands.push(command);
      command = '';
    }
    command = (command || 'XFORWARD') + attribute;
  }
  return command === '' ? commands : [...commands, command];
}
