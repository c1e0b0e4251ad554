/**
 * header_checks and body_checks at work: finds the rule for a line, does what it says, logs it.
 */

import { fromText, toLogText, toText } from '../../lib/message/byte-string.ts';
import { type CheckAction, parseAction } from '../../lib/message/check-action.ts';
import type { MimeEvent } from '../../lib/message/mime.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';
import type { Message } from './message.ts';
import { FLAG, STATUS } from './protocol.ts';

/** Bits that go when nothing more is to be checked. */
const FILTER_ALL = FLAG.FILTER | FLAG.MILTER;
/** So much of a line is logged. */
const LOGGED_LINE_MAX = 200;

export interface CheckedLine {
  readonly part: 'header' | 'body';
  /** Header with its folds, or one body line. */
  readonly text: string;
}

/** What becomes of the line. */
export interface CheckVerdict {
  /** To be written instead; undefined: drop it. */
  readonly text: string | undefined;
  /** To be written in front. */
  readonly before?: string;
}

/** Puts one line to the tables. */
export async function checkLine(
  message: Message,
  tables: TableList,
  line: CheckedLine,
): Promise<CheckVerdict> {
  const found = await findRule(message, tables, line.text);
  if (found === undefined) return { text: line.text };
  const action = parseAction(fromText(found.value), line.part, tables.parameter);
  return obey(message, action, line, `${tables.parameter} ${found.table}`);
}

/** What tables are asked about a header or a line. */
export function checkedText(event: MimeEvent & { readonly kind: 'header' | 'body' }): string {
  const text = event.kind === 'header' ? untilNul(event.text) : event.text;
  return toText(text) ?? text;
}

/** A NUL ends a header, and hides the rest of it from whoever reads it later. */
export function untilNul(header: string): string {
  const nul = header.indexOf('\0');
  return nul < 0 ? header : header.slice(0, nul);
}

async function findRule(message: Message, tables: TableList, text: string) {
  try {
    const { answers } = message;
    const key = toText(text) ?? text;
    return await (answers === undefined ? tables.lookup(key) : answers.lookup(tables, key));
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    message.warn(`${tables.parameter} map lookup problem -- message not accepted, try again later`);
    message.fail(STATUS.WRITE);
    return undefined;
  }
}

/** REJECT without a table: what message_reject_characters finds. */
export function rejectLine(message: Message, part: string, text: string, reason: string): void {
  message.reason = reason;
  message.fail(STATUS.CONT);
  message.flags &= ~FILTER_ALL;
  logAction(message, 'reject', part, text, reason);
}

function obey(
  message: Message,
  action: CheckAction,
  line: CheckedLine,
  rule: string,
): CheckVerdict {
  const keep: CheckVerdict = { text: line.text };
  const log = (text: string) => logAction(message, action.kind, line.part, line.text, text, rule);
  switch (action.kind) {
    case 'invalid':
      message.surroundings.log.warn(toLogText(action.warning));
      return keep;
    case 'dunno':
      return keep;
    case 'ignore':
      return { text: undefined };
    case 'strip':
      log(action.text);
      return { text: undefined };
    case 'reject':
      message.fail(action.temporary ? STATUS.DEFER : STATUS.CONT, action.reason);
      message.flags &= ~FILTER_ALL;
      log(action.reason);
      return keep;
    case 'hold':
      if (message.has(FLAG.HOLD | FLAG.DISCARD)) return keep;
      message.flags |= FLAG.HOLD;
      break;
    case 'discard':
      message.flags |= FLAG.DISCARD;
      message.flags &= ~FILTER_ALL;
      break;
    case 'filter':
      message.filter = action.text;
      break;
    case 'redirect':
      message.redirect = action.text;
      message.flags &= ~FILTER_ALL;
      break;
    case 'bcc':
      message.checkBcc.push(action.text);
      break;
    case 'replace':
      log(action.text);
      return { text: action.text };
    case 'prepend':
      log(action.text);
      return { text: line.text, before: action.text };
    default:
  }
  log(action.text);
  return keep;
}

/** `from {client}; from=<> to=<> proto= helo=<>: text`. */
export function logAction(
  message: Message,
  action: string,
  part: string,
  line: string,
  text: string,
  rule?: string,
): void {
  const optional = (name: string) => {
    const value = message.attributes.get(name);
    return value === undefined ? undefined : toLogText(value);
  };
  message.info({
    kind: 'content',
    queueId: message.id,
    action,
    part,
    line: toLogText(line.slice(0, LOGGED_LINE_MAX)),
    client: optional('log_message_origin') ?? 'local',
    from: message.sender === undefined ? undefined : toLogText(message.sender),
    to: message.recipient === undefined ? undefined : toLogText(message.recipient),
    protocol: optional('log_protocol_name'),
    helo: optional('log_helo_name'),
    text: text === '' ? undefined : toLogText(text),
    rule,
  });
}
