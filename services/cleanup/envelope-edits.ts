/** Changes to the sender and the recipients of a message that is in its queue file already. */
import { unquote } from '../../lib/address/address.ts';
import { externalAddressesIn } from '../../lib/address/list.ts';
import { RET } from '../../lib/dsn/notify.ts';
import { decodeXtext } from '../../lib/dsn/xtext.ts';
import { toLogText } from '../../lib/message/byte-string.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordReader } from '../../lib/queue/record-reader.ts';
import { parseNotify } from '../../lib/smtp/arguments.ts';
import { append, replace } from './content-edits.ts';
import { cleanSender } from './envelope.ts';
import { pad } from './hooks.ts';
import type { Message } from './message.ts';
import { addExtra, duplicateKey } from './recipients.ts';
import { next, openStored } from './stored-content.ts';

const RETURNS: ReadonlyMap<string, number> = new Map([
  ['FULL', RET.full],
  ['HDRS', RET.headers],
]);

/** @param given an address as in MAIL, in a byte string; parameters as in MAIL, too */
export async function changeSender(
  message: Message,
  given: string,
  parameters: string,
): Promise<void> {
  const hook = message.hooks?.sender;
  if (hook === undefined) return;
  for (const parameter of splitWords(parameters)) takeSenderParameter(message, parameter);
  const [first, ...others] = addressesOf(given);
  if (others.length > 0) message.warn(`Milter request to add multi-sender: "${given}"`);
  const address = await cleanSender(message, unquote(first ?? ''));
  await replace(message, hook, () => {
    if (message.envelopeId !== '') message.attribute('envelope_id', message.envelopeId);
    if (message.returnFlags !== 0) message.attribute('ret_flags', message.returnFlags);
    message.put(RECORD.sender, address);
    pad(message.output, RECORD.pointer, address.length);
  });
  message.sender = address;
}

function takeSenderParameter(message: Message, parameter: string): void {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(parameter) ?? [];
  const returns = name.toUpperCase() === 'RET' ? RETURNS.get(value.toUpperCase()) : undefined;
  const id = name.toUpperCase() === 'ENVID' ? decodeXtext(value) : undefined;
  if (returns !== undefined) message.returnFlags = returns;
  else if (id !== undefined && /^[\x20-\x7e]+$/.test(id)) message.envelopeId = id;
  else {
    const shown = toLogText(parameter);
    message.surroundings.log.warn(
      `Ignoring bad ESMTP parameter "${shown}" in SMFI_CHGFROM request`,
    );
  }
}

/** @param given an address as in RCPT; parameters as in RCPT, too */
export async function addRecipient(
  message: Message,
  given: string,
  parameters: string,
): Promise<void> {
  const hook = message.hooks?.recipients;
  if (hook === undefined) return;
  const [first, ...others] = addressesOf(given);
  const wishes = { dsnOriginal: '', notify: 0 };
  for (const parameter of splitWords(parameters))
    takeRecipientParameter(message, parameter, wishes);
  if (others.length > 0) {
    message.warn(`Milter or header/body_checks request to add multi-recipient: "${given}"`);
  }
  if (first === undefined) {
    message.warn('ignoring attempt from Milter to add null recipient');
    return;
  }
  await append(message, hook, () => addExtra(message, unquote(first), wishes));
}

function takeRecipientParameter(
  message: Message,
  parameter: string,
  wishes: { dsnOriginal: string; notify: number },
): void {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(parameter) ?? [];
  const from = `from Milter or header/body_checks: "${parameter.slice(0, 100)}"`;
  if (name.toUpperCase() === 'NOTIFY') {
    const notify = parseNotify(value);
    if (notify !== undefined) {
      wishes.notify = notify;
      return;
    }
    const unknown = value.split(',').find((word) => parseNotify(word) === undefined) ?? value;
    message.surroundings.log.warn(
      `unknown DSN NOTIFY command value "${toLogText(unknown)}" in "${toLogText(value)}"`,
    );
    message.warn(`Bad NOTIFY parameter ${from}`);
  } else if (name.toUpperCase() === 'ORCPT') {
    const [, type = '', xtext = ''] = /^([^;]+);(.+)$/s.exec(value) ?? [];
    const original = decodeXtext(xtext);
    if (type !== '' && original) wishes.dsnOriginal = `${type};${original}`;
    else message.warn(`Bad ORCPT parameter ${from}`);
  } else message.warn(`ignoring ESMTP argument ${from}`);
}

/** Cancels all recipients that an address has led to. */
export async function deleteRecipient(message: Message, given: string): Promise<void> {
  const [first, ...others] = addressesOf(given);
  if (others.length > 0) message.warn(`Milter request to drop multi-recipient: "${given}"`);
  if (first === undefined) return;
  const address = unquote(first);
  const byOrigin = message.settings.parameters.enable_original_recipient;
  const reader = new RecordReader(await openStored(message));
  let names = { original: '', dsnOriginal: '', notify: 0 };
  while (await next(reader)) {
    const { type } = reader;
    const text = reader.data().toString('latin1');
    if (type === RECORD.end) return;
    if (type === RECORD.message) reader.seek(message.extractedOffset);
    else if (type === RECORD.originalRecipient) names.original = text;
    else if (type === RECORD.attribute) {
      const [, name, value = ''] = /^\s*(\w+)\s*=(.*)$/s.exec(text) ?? [];
      if (name === 'dsn_orig_rcpt') names.dsnOriginal = value;
      else if (name === 'notify_flags') names.notify = Number(value) || 0;
    } else if (type === RECORD.recipient || type === RECORD.canceled) {
      if (type === RECORD.recipient && (byOrigin ? names.original || text : text) === address) {
        message.file.writeAt(CANCELED, reader.offset);
        message.duplicates.forget(duplicateKey(message, names, text));
      }
      names = { original: '', dsnOriginal: '', notify: 0 };
    }
  }
}

const CANCELED = Buffer.from(RECORD.canceled);

const splitWords = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** The addresses of a list, with `<>` for none. */
function addressesOf(given: string): string[] {
  return externalAddressesIn(given).filter((address) => address !== '');
}
