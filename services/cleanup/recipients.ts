/**
 * Recipients: completed and mapped, expanded through virtual_alias_maps, written without duplicates,
 * and copied to whom main.cf says (bcc).
 */
import { unquote } from '../../lib/address/address.ts';
import { RECIPIENT_STATUS } from '../../lib/clients/verify.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import { NOTIFY } from '../../lib/dsn/notify.ts';
import { isAscii, toLogText } from '../../lib/message/byte-string.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { TableList } from '../../lib/table/table.ts';
import { type Message, SEND_OPTION } from './message.ts';
import { describeNesting, type MapStep } from './nesting.ts';
import { FLAG, STATUS } from './protocol.ts';

/** The bit of trace_flags that says: this message only asks whether its recipient exists. */
const ADDRESS_PROBE = 256;

/** A recipient as the client gave it. */
export interface GivenRecipient {
  /** Internal form. */
  readonly address: string;
  /** From an `O` record; undefined: it is the address itself. */
  readonly original: string | undefined;
  /** ORCPT as `type;address`; undefined when none was given. */
  readonly dsnOriginal: string | undefined;
  /** NOTIFY bits; 0 when not given. */
  readonly notify: number;
}

/** Takes one recipient into the message. */
export async function addRecipient(message: Message, given: GivenRecipient): Promise<void> {
  const { settings } = message;
  const address = await cleanAddress(
    message,
    given.address === '' ? settings.parameters.empty_address_recipient : given.address,
  );
  const dsnOriginal = given.dsnOriginal ?? `${addressType(message, address)};${address}`;
  const original = given.original ?? given.address;
  await writeRecipient(message, { original, dsnOriginal, notify: given.notify }, address);
  message.recipient = address;
  if (settings.recipientBcc !== undefined && message.has(FLAG.BCC_OK) && address !== '') {
    await addMappedBcc(message, settings.recipientBcc, address);
  }
}

/** Copies to whom a bcc table says for an address. */
export async function addMappedBcc(
  message: Message,
  tables: TableList,
  address: string,
): Promise<void> {
  const found = await message.surroundings.rewriting.lookup(message, tables, address);
  if (found !== undefined) await addBcc(message, found.value);
}

/** A recipient of our own making: nobody is notified about it. */
export async function addBcc(message: Message, given: string): Promise<void> {
  const address = await cleanAddress(message, unquote(given));
  const names = { original: address, dsnOriginal: '', notify: NOTIFY.never };
  await writeRecipient(message, names, address);
}

/** A recipient that a milter adds, in internal form. */
export async function addExtra(
  message: Message,
  given: string,
  wishes: { readonly dsnOriginal: string; readonly notify: number },
): Promise<void> {
  const address = await cleanAddress(message, given);
  await writeRecipient(message, { original: address, ...wishes }, address);
}

/** By what a recipient is known to have been written before. */
export function duplicateKey(message: Message, names: Names, address: string): string {
  const { original, dsnOriginal, notify } = names;
  const byOrigin = message.settings.parameters.enable_original_recipient;
  return byOrigin ? `${dsnOriginal}\n${notify}\n${original}\n${address}` : address;
}

async function cleanAddress(message: Message, address: string): Promise<string> {
  const { rewriting } = message.surroundings;
  const complete = await rewriting.internal('local', address);
  if (!message.has(FLAG.MAP_OK) || !rewriting.maps('envelope_recipient')) return complete;
  return rewriting.map(message, 'envelope_recipient', complete);
}

function addressType(message: Message, address: string): string {
  if (isAscii(address)) return 'rfc822';
  message.noteUtf8(0);
  return (message.sendOptions & SEND_OPTION.smtputf8) !== 0 ? 'utf-8' : 'rfc822';
}

/** What all results of one recipient have in common. */
interface Names {
  readonly original: string;
  readonly dsnOriginal: string;
  readonly notify: number;
}

async function writeRecipient(message: Message, names: Names, address: string): Promise<void> {
  const tables = message.settings.virtualAliases;
  if (tables === undefined || !message.has(FLAG.MAP_OK)) {
    writeOne(message, names, address);
    return;
  }
  const results = await expandAliases(message, tables, address);
  if (results.length > 1 && (message.traceFlags & ADDRESS_PROBE) !== 0) {
    await reportDeliverable(message, names, address);
    return;
  }
  const expanded = results.length > 1 || results[0] !== address;
  // RFC 3461 5.2.7.1 (b): report the expansion; the results notify of failure and delay only.
  const tells = expanded && (names.notify & NOTIFY.success) !== 0;
  if (tells) await reportExpansion(message, names, address);
  const notify = tells ? names.notify & ~NOTIFY.success || NOTIFY.never : names.notify;
  for (const result of results) writeOne(message, { ...names, notify }, result);
}

function writeOne(message: Message, names: Names, address: string) {
  const { original, dsnOriginal, notify } = names;
  if (!message.duplicates.isNew(duplicateKey(message, names, address))) return;
  if (notify !== 0) message.attribute('notify_flags', notify);
  if (dsnOriginal !== '') message.attribute('dsn_orig_rcpt', dsnOriginal);
  message.put(RECORD.originalRecipient, original);
  if (message.has(FLAG.BOUNCE)) {
    const offset = message.output.offset;
    message.written.push(recipientFor({ original, dsnOriginal, notify }, address, offset));
  }
  message.put(RECORD.recipient, address);
  message.recipientCount += 1;
}

/** A recipient as other services are told of it. */
function recipientFor(names: Names, address: string, offset: number): Recipient {
  return {
    original: toLogText(names.original),
    address: toLogText(address),
    offset,
    dsnOriginal: toLogText(names.dsnOriginal),
    notify: names.notify,
  };
}

/**
 * A probe asks about one address. Were each result probed, the last answer would count for all: an
 * alias for many is good as it is.
 */
async function reportDeliverable(message: Message, names: Names, address: string): Promise<void> {
  const reason = 'aliased to multiple recipients';
  const asked = toLogText(names.original);
  const { verify } = message.surroundings;
  if (!(await verify.update(asked, RECIPIENT_STATUS.OK, reason))) {
    message.warn('verify service update error');
    message.fail(STATUS.WRITE);
    return;
  }
  message.info({
    kind: 'delivery',
    queueId: message.id,
    to: toLogText(address),
    origTo: asked,
    relay: 'none',
    delay: message.ageSeconds,
    delays: [message.ageSeconds, 0, 0, 0],
    dsn: '2.0.0',
    status: 'deliverable',
    text: reason,
  });
}

async function reportExpansion(message: Message, names: Names, address: string): Promise<void> {
  const recipient = recipientFor(names, address, 0);
  const detail = {
    status: '2.0.0',
    diagType: '',
    diagText: '',
    mtaType: '',
    mtaName: '',
    action: 'expanded',
    reason: 'alias expanded',
  };
  const { bounce } = message.surroundings;
  if (await bounce.append('trace', message.id, 0, recipient, detail)) return;
  message.warn('trace logfile update error');
  message.fail(STATUS.WRITE);
}

/** What an expansion needs of its message. */
export interface Expanding
  extends Pick<Message, 'warn' | 'fail' | 'errors' | 'reason' | 'settings'> {
  readonly surroundings: Pick<Message['surroundings'], 'rewriting'>;
}

/**
 * All addresses that an address stands for. Each result is looked up in turn, until tables know no
 * more of it or an address stands for itself. On trouble the address itself is returned, and the
 * message is in trouble.
 */
export async function expandAliases(
  message: Expanding,
  tables: TableList,
  address: string,
): Promise<readonly string[]> {
  const { rewriting } = message.surroundings;
  const { parameters, propagate } = message.settings;
  const refuse = (what: string): readonly string[] => {
    message.warn(`unreasonable ${what} -- message not accepted, try again later`);
    message.fail(STATUS.DEFER, '4.6.0 Alias expansion error');
    return [address];
  };
  const results = [address];
  const final = new Set<string>();
  for (let at = 0; at < results.length; at += 1) {
    if (results.length > parameters.virtual_alias_expansion_limit) {
      return refuse(`${tables.parameter} map expansion size for ${address}`);
    }
    const way: MapStep[] = [];
    for (;;) {
      const current = results[at] as string;
      if (final.has(current.toLowerCase())) break;
      if (way.length >= parameters.virtual_alias_recursion_limit) {
        message.warn(`${tables.parameter}: ${describeNesting(way, current)}`);
        return refuse(`${tables.parameter} map nesting for ${address}`);
      }
      const before = message.errors;
      const found = await rewriting.lookup(message, tables, current);
      if (found === undefined) {
        if (message.errors === before) break;
        message.reason = '4.6.0 Alias expansion error';
        return [address];
      }
      way.push({ address: current, found });
      const expanded = await rewriting.expand(found, current, propagate.has('virtual'));
      if (expanded.length === 0) break;
      for (const [index, external] of expanded.entries()) {
        const one = unquote(external);
        if (external.length > parameters.virtual_alias_address_length_limit) {
          return refuse(`${tables.parameter} result ${one.slice(0, 300)}...`);
        }
        if (index === 0) results[at] = one;
        else results.push(one);
        // An address may stand for itself, once.
        if (one.toLowerCase() === current.toLowerCase()) final.add(current.toLowerCase());
      }
    }
  }
  return results;
}
