/** Entries of the logs that bounce keeps of a message (`bounce/ defer/ trace/`): text and back. Pure. */
import { quote, unquote } from '../address/address.ts';
import type { DsnDetail } from '../dsn/detail.ts';
import type { QueuedRecipient } from './envelope.ts';

/** What became of one recipient. */
export interface LogEntry {
  readonly recipient: QueuedRecipient;
  readonly detail: DsnDetail;
}

/** The logs of a message. */
export type LogQueue = 'bounce' | 'defer' | 'trace';

/**
 * The text of an entry: an empty line, its lines, an empty line (queue.md 6.1).
 *
 * @param oldForm backwards_bounce_logfile_compatibility: the first line is for people
 */
export function formatLogEntry({ recipient, detail }: LogEntry, oldForm: boolean): string {
  const address = external(recipient.address);
  let text = oldForm ? `\n<${address}>: ${plain(detail.reason)}\n` : '\n';
  text += `recipient=${address === '' ? '<>' : address}\n`;
  if (differs(recipient.original, recipient.address)) {
    text += `original_recipient=${external(recipient.original)}\n`;
  }
  if (recipient.offset > 0) text += `offset=${recipient.offset}\n`;
  text += field('dsn_orig_rcpt', recipient.dsnOriginal);
  if (recipient.notify !== 0) text += `notify_flags=${recipient.notify}\n`;
  text += field('status', detail.status) + field('action', detail.action);
  if (detail.diagType !== '' && detail.diagText !== '') {
    text += field('diag_type', detail.diagType) + field('diag_text', detail.diagText);
  }
  if (detail.mtaType !== '' && detail.mtaName !== '') {
    text += field('mta_type', detail.mtaType) + field('mta_mname', detail.mtaName);
  }
  return `${text}${field('reason', detail.reason)}\n`;
}

function field(name: string, value: string): string {
  return value === '' ? '' : `${name}=${plain(value)}\n`;
}

function external(address: string): string {
  return plain(quote(address));
}

function differs(original: string, address: string): boolean {
  return original !== '' && original.toLowerCase() !== address.toLowerCase();
}

/** An entry is lines: a line end in a value would forge others. */
function plain(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, '?');
}

/** Entries of so many lines have been tampered with. */
const LINES_MAX = 100;

/** Turns the lines of a log, without their ends, into entries, one line at a time. */
export class LogEntryParser {
  readonly #defaults: Pick<DsnDetail, 'status' | 'action'>;
  #fields = new Map<string, string>();

  /** What entries of the oldest form lack follows from the log they are in. */
  constructor(queue: LogQueue) {
    this.#defaults =
      queue === 'defer'
        ? { status: '4.0.0', action: 'delayed' }
        : { status: '5.0.0', action: 'failed' };
  }

  /** @returns an entry when this line, an empty one, ends it */
  line(text: string): LogEntry | undefined {
    if (text === '') return this.end();
    if (this.#fields.size >= LINES_MAX) return undefined;
    if (text.startsWith('<')) {
      const split = text.indexOf('>: ');
      if (split < 0) return undefined;
      this.#fields.set('recipient', text.slice(1, split));
      this.#fields.set('reason', text.slice(split + 3));
      return undefined;
    }
    const equals = text.indexOf('=');
    if (equals > 0) this.#fields.set(text.slice(0, equals), text.slice(equals + 1));
    return undefined;
  }

  /** The entry so far, if there is one. */
  end(): LogEntry | undefined {
    if (this.#fields.size === 0) return undefined;
    const fields = this.#fields;
    this.#fields = new Map();
    const value = (name: string) => fields.get(name) ?? '';
    const address = fields.get('recipient') ?? '(recipient address unavailable)';
    return {
      recipient: {
        original: unquote(value('original_recipient')),
        address: address === '<>' || address === '' ? '' : unquote(address),
        offset: Number.parseInt(value('offset'), 10) || -1,
        dsnOriginal: value('dsn_orig_rcpt'),
        notify: Number.parseInt(value('notify_flags'), 10) || 0,
      },
      detail: {
        status: value('status') || this.#defaults.status,
        action: value('action') || this.#defaults.action,
        diagType: value('diag_type'),
        diagText: value('diag_text'),
        mtaType: value('mta_type'),
        mtaName: value('mta_mname'),
        reason: value('reason') || '(description unavailable)',
      },
    };
  }
}
