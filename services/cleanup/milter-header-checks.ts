/** `milter_header_checks` at work: rules about the headers that milters add or change. */
import { fromText, toLogText, toText } from '../../lib/message/byte-string.ts';
import { type CheckAction, parseAction } from '../../lib/message/check-action.ts';
import { CheckAnswers } from '../../lib/message/check-answers.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';
import { append } from './content-edits.ts';
import { addRecipient } from './envelope-edits.ts';
import type { Message } from './message.ts';
import { FLAG, STATUS } from './protocol.ts';

/** So much of a header is logged. */
const LOGGED_HEADER_MAX = 60;

export class MilterHeaderChecks {
  readonly #message: Message;
  readonly #tables: TableList;
  /** `name[address]` of whoever sent the message. */
  readonly #client: string;

  constructor(message: Message, tables: TableList, client: string) {
    this.#message = message;
    this.#tables = tables;
    this.#client = client;
  }

  /** @returns the header to be written; undefined: none */
  async check(header: string): Promise<string | undefined> {
    const found = await this.#lookup(header);
    if (found === undefined) return header;
    const { parameter } = this.#tables;
    return this.#obey(parseAction(fromText(found.value), 'header', parameter), header, found.value);
  }

  /** All changes are made: orders that rules have given are written. */
  async finish(): Promise<void> {
    const message = this.#message;
    const { filter, redirect } = message;
    const hook = message.hooks?.orders;
    if (hook === undefined || (filter === '' && redirect === '')) return;
    await append(message, hook, () => {
      if (filter !== '') message.put(RECORD.filter, filter);
      if (redirect !== '') message.put(RECORD.redirect, redirect);
    });
  }

  async #lookup(header: string) {
    const message = this.#message;
    const { checkThreads, log } = message.surroundings;
    const key = toText(header) ?? header;
    try {
      if (checkThreads === undefined || !this.#tables.mayStall)
        return await this.#tables.lookup(key);
      return await new CheckAnswers(checkThreads, log).lookup(this.#tables, key);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      const { parameter } = this.#tables;
      message.warn(`${parameter} map lookup problem -- message not accepted, try again later`);
      message.fail(STATUS.WRITE);
      return undefined;
    }
  }

  async #obey(action: CheckAction, header: string, value: string): Promise<string | undefined> {
    const message = this.#message;
    const { log } = message.surroundings;
    switch (action.kind) {
      case 'invalid': {
        const unknown = `unsupported command in ${this.#tables.parameter} map: ${value}`;
        log.warn(toLogText(action.warning.startsWith('unknown') ? unknown : action.warning));
        return header;
      }
      case 'dunno':
        return header;
      case 'ignore':
        return undefined;
      case 'reject':
        message.fail(action.temporary ? STATUS.DEFER : STATUS.CONT, action.reason);
        this.#log('reject', header, action.reason);
        return undefined;
      case 'strip':
        this.#log(action.kind, header, action.text);
        return undefined;
      case 'replace':
        this.#log(action.kind, header, action.text);
        return action.text;
      case 'hold':
        message.flags |= FLAG.HOLD;
        break;
      case 'discard':
        message.flags |= FLAG.DISCARD;
        break;
      case 'filter':
      case 'redirect':
        message[action.kind] = action.text;
        break;
      case 'bcc':
        this.#log(action.kind, header, action.text);
        await addRecipient(message, action.text, '');
        return header;
      default:
    }
    this.#log(action.kind, header, action.text);
    if (action.kind === 'prepend') {
      log.warn('the milter_header/body_checks prepend action is not implemented');
    }
    return header;
  }

  #log(action: string, header: string, text: string): void {
    const message = this.#message;
    const optional = (value: string | undefined) =>
      value === undefined ? undefined : toLogText(value);
    message.info({
      kind: 'content',
      queueId: message.id,
      action: `milter-header-${action}`,
      part: 'header',
      line: toLogText(header.slice(0, LOGGED_HEADER_MAX)),
      client: toLogText(this.#client),
      from: optional(message.sender),
      to: optional(message.recipient),
      protocol: optional(message.attributes.get('log_protocol_name')),
      helo: optional(message.attributes.get('log_helo_name')),
      text: text === '' ? undefined : toLogText(text),
    });
  }
}
