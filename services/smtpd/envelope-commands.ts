/** The commands that take an address: MAIL, RCPT and VRFY. */
import { parsePath } from '../../lib/address/path.ts';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { now } from '../../lib/clock/clock.ts';
import {
  type MailParameters,
  type ParameterRules,
  parseMailParameters,
  parseRcptParameters,
} from '../../lib/smtp/arguments.ts';
import type { Answer } from './answer.ts';
import { type BeforeQueue, isFiltered } from './before-queue.ts';
import { nonAsciiText } from './compatibility.ts';
import { formatEnvelope, formatRecipient, type RecipientWishes } from './envelope.ts';
import { noOrders } from './message-orders.ts';
import type { Session } from './session.ts';
import {
  type Client,
  type Forwarded,
  type GivenAddress,
  originLabel,
  type Transaction,
} from './transaction.ts';
import { joinWords, type Word } from './words.ts';

const SMTPUTF8 = 'SMTPUTF8';
const POSTMASTER = /^postmaster$/i;
const NO_ROUTE: Resolution = { transport: '', nexthop: '', recipient: '', flags: 0 };

export async function mail(session: Session, words: readonly Word[]): Promise<Answer> {
  const { smtpd } = session;
  const { parameters } = smtpd;
  if (parameters.smtpd_helo_required && session.helo === undefined) {
    return { reply: '503 5.5.1 Error: send HELO/EHLO first' };
  }
  if (session.transaction) return { reply: '503 5.5.1 Error: nested MAIL command' };
  if (session.chunks !== undefined) return { reply: '503 5.5.1 Error: MAIL after BDAT' };
  const given = splitArguments(words, 'FROM:');
  if (given === undefined) return { reply: '501 5.5.4 Syntax: MAIL FROM:<address>' };
  const tooMuch = await session.overLimit('message');
  if (tooMuch !== undefined) return { reply: tooMuch };
  const rules = rulesFor(session);
  const utf8 = rules.smtputf8 === true && given.parameters.some(isSmtpUtf8);
  const sender = await readAddress(session, given.path, { allowNull: true, utf8 });
  if (sender === undefined) return { reply: '501 5.1.7 Bad sender address syntax' };
  const wishes = parseMailParameters(given.parameters, rules);
  if ('refusal' in wishes) return { reply: wishes.refusal };
  if (wishes.verp !== undefined && sender.address === '') {
    return { reply: '503 5.5.4 Error: XVERP requires non-null sender' };
  }
  session.transaction = newTransaction(session, sender, wishes);
  const arguments_ = [given.path.text, ...given.parameters];
  const refused = await refuseSender(session, session.transaction, wishes.size, arguments_);
  if (refused !== undefined) {
    session.reset();
    return { reply: refused };
  }
  return { reply: '250 2.1.0 Ok' };
}

function newTransaction(
  { smtpd, commandLine: command }: Session,
  sender: GivenAddress,
  wishes: MailParameters,
): Transaction {
  const arrival = now();
  return {
    command,
    sender,
    arrival,
    instance: smtpd.nextInstance(arrival),
    declaredBytes: wishes.size ?? 0,
    encoding: ENCODINGS[wishes.body] ?? '',
    smtputf8: wishes.smtputf8,
    envelopeId: wishes.envid,
    retFlags: wishes.ret,
    saslSender: wishes.auth === undefined || wishes.auth === '<>' ? '' : wishes.auth,
    verp: wishes.verp,
    recipients: [],
    firstRecipient: undefined,
    overshoot: 0,
    message: undefined,
    deferIfPermit: undefined,
    orders: noOrders(),
  };
}

const ENCODINGS: Readonly<Record<string, string>> = { '7BIT': '7bit', '8BITMIME': '8bit' };

async function refuseSender(
  session: Session,
  transaction: Transaction,
  size: number | undefined,
  given: readonly string[],
): Promise<string | readonly string[] | undefined> {
  const { smtpd } = session;
  const { parameters } = smtpd;
  const { message_size_limit: limit } = parameters;
  if (limit > 0 && size !== undefined && size > limit) {
    return logged(session, '552 5.3.4 Message size exceeds fixed limit');
  }
  if (!parameters.smtpd_delay_reject) {
    const refusal = await session.refusalAt('sender');
    if (refusal !== undefined) return refusal;
  }
  const filtered = await session.milters?.mail(given, transaction.sender);
  if (filtered !== undefined) return filtered;
  const asked = smtpd.localRewrite.refusal(session);
  const unknown = asked && (await asked);
  if (unknown !== undefined) return unknown;
  if (mustDeclare(session, transaction.sender.address, 'sender')) return UNDECLARED;
  const shortage = smtpd.spaceShortage(size ?? 0);
  if (shortage !== undefined) {
    // Postfix does not know the sender any more when it logs this.
    session.reset();
    const reply = logged(session, '452 4.3.1 Insufficient system storage');
    smtpd.log.warn(shortage);
    return reply;
  }
  if (parameters.smtpd_delay_open_until_valid_rcpt) return undefined;
  return openMessage(session, transaction);
}

const UNDECLARED = '553 5.6.7 Must declare SMTPUTF8 to send unicode address';

/** `strict_smtputf8`: who uses Unicode has to say so. */
function mustDeclare(
  { smtpd, transaction, client }: Session,
  address: string,
  what: 'sender' | 'recipient',
): boolean {
  const { strict_smtputf8: isStrict } = smtpd.parameters;
  if (!(isStrict || smtpd.acceptsBytes) || !isUnicode(address)) return false;
  if (transaction?.smtputf8 === true) return false;
  if (!isStrict) smtpd.log.info(nonAsciiText(what, address, client.label));
  return isStrict;
}

function logged(session: Session, refusal: string): string {
  session.logRule('reject', refusal);
  return refusal;
}

export async function rcpt(session: Session, words: readonly Word[]): Promise<Answer> {
  const { transaction } = session;
  const { parameters } = session.smtpd;
  if (!transaction) return { reply: '503 5.5.1 Error: need MAIL command' };
  if (session.chunks !== undefined) return { reply: '503 5.5.1 Error: RCPT after BDAT' };
  const given = splitArguments(words, 'TO:');
  if (given === undefined) return { reply: '501 5.5.4 Syntax: RCPT TO:<address>' };
  const tooMany = await session.overLimit('recipient');
  if (tooMany !== undefined) return { reply: tooMany };
  const recipient = await readAddress(session, given.path, { utf8: transaction.smtputf8 });
  if (recipient === undefined) return { reply: '501 5.1.3 Bad recipient address syntax' };
  const wishes = parseRcptParameters(given.parameters, rulesFor(session));
  if ('refusal' in wishes) {
    if (wishes.warning !== undefined) session.smtpd.log.warn(wishes.warning);
    return { reply: wishes.refusal };
  }
  if (transaction.recipients.length >= parameters.smtpd_recipient_limit) {
    transaction.overshoot += 1;
    return {
      reply: '452 4.5.3 Error: too many recipients',
      isError: transaction.overshoot > parameters.smtpd_recipient_overshoot_limit,
    };
  }
  if (mustDeclare(session, recipient.address, 'recipient')) return { reply: UNDECLARED };
  const refusal = await refuseRecipient(session, recipient);
  const { milters } = session;
  const refused =
    (milters === undefined
      ? refusal
      : await milters.rcpt([given.path.text, ...given.parameters], recipient, refusal)) ??
    (await openMessage(session, transaction)) ??
    (await refuseFiltered(session, transaction));
  if (refused !== undefined) return { reply: refused };
  transaction.firstRecipient ??= recipient;
  return acceptRecipient(transaction, recipient.address, {
    notify: wishes.notify,
    originalRecipient: wishes.orcpt || `rfc822;${recipient.external}`,
  });
}

/** What the restrictions say of a recipient. */
async function refuseRecipient(
  session: Session,
  recipient: GivenAddress,
): Promise<string | undefined> {
  // RFC 5321 4.5.1: whoever has trouble with us can always write to postmaster.
  return POSTMASTER.test(recipient.address)
    ? undefined
    : session.refusal('recipient', { recipient });
}

/** Opens the queue file, unless it is open. @returns the reply when there can be none */
async function openMessage(
  session: Session,
  transaction: Transaction,
): Promise<string | undefined> {
  if (transaction.message !== undefined) return undefined;
  const { smtpd, milters } = session;
  if (smtpd.beforeQueue !== undefined) return openFiltered(session, transaction, smtpd.beforeQueue);
  const message = await smtpd.openMessage(transaction, milters !== undefined);
  if (message === undefined) return '451 4.3.0 Error: queue file write error';
  // The client may have gone while we waited.
  if (session.transaction !== transaction) {
    message.abort();
    return '451 4.3.0 Error: queue file write error';
  }
  transaction.message = message;
  logClient(session, transaction, message.queueId);
  if (milters !== undefined) await message.write(milters.placeholder());
  await message.write(formatEnvelope(smtpd.envelopeFacts(session, transaction, message)));
  return undefined;
}

/** Begins a message that goes to a filter before it is in any queue. */
async function openFiltered(
  session: Session,
  transaction: Transaction,
  filter: BeforeQueue,
): Promise<string | undefined> {
  const message = await filter.begin(session);
  if (typeof message === 'string') return message;
  if (session.transaction !== transaction) {
    message.abort();
    return '451 4.3.0 Error: queue file write error';
  }
  transaction.message = message;
  logClient(session, transaction, undefined);
  return undefined;
}

/** What the filter says of a recipient. */
async function refuseFiltered(
  { commandLine }: Session,
  { message }: Transaction,
): Promise<string | undefined> {
  return message !== undefined && isFiltered(message) ? message.recipient(commandLine) : undefined;
}

/** Whose a message is, in the log. */
function logClient(session: Session, transaction: Transaction, queueId: string | undefined): void {
  const { smtpd, client } = session;
  smtpd.log.info({
    kind: 'client',
    queueId,
    client: client.label,
    ...loginOf(client),
    ...(transaction.saslSender === '' ? {} : { saslSender: transaction.saslSender }),
    ...(session.forwarded === undefined ? {} : originOf(session, session.forwarded)),
  });
}

function loginOf({ login }: Client) {
  return login === undefined ? {} : { saslMethod: login.method, saslUsername: login.username };
}

/** What a message was called where it comes from, and whom it came from. */
function originOf({ smtpd }: Session, { client, ident }: Forwarded) {
  return {
    ...(ident === undefined ? {} : { originalQueueId: ident }),
    ...(client === undefined
      ? {}
      : { originalClient: originLabel(client, smtpd.parameters.smtpd_client_port_logging) }),
  };
}

function acceptRecipient(
  { message, recipients }: Transaction,
  recipient: string,
  wishes: RecipientWishes,
): Answer | Promise<Answer> {
  recipients.push(recipient);
  const answer: Answer = { reply: '250 2.1.5 Ok' };
  const written = message?.write(formatRecipient(recipient, wishes));
  return written instanceof Promise ? written.then(() => answer) : answer;
}

export async function vrfy(session: Session, words: readonly Word[]): Promise<Answer> {
  const { parameters } = session.smtpd;
  if (parameters.disable_vrfy_command) return { reply: '502 5.5.1 VRFY command is disabled' };
  const utf8 = parameters.smtputf8_enable;
  if (words.length < 2) {
    return { reply: `501 5.5.4 Syntax: VRFY address${utf8 ? ` [${SMTPUTF8}]` : ''}` };
  }
  const tooMany = await session.overLimit('recipient');
  if (tooMany !== undefined) return { reply: tooMany };
  const filtered = session.milters?.refusal();
  if (filtered !== undefined) return { reply: filtered };
  const declared = utf8 && words.length > 2 && isSmtpUtf8(words.at(-1)?.text ?? '');
  const given = joinWords(declared ? words.slice(0, -1) : words, 1);
  const recipient = await readAddress(
    session,
    { text: given, isBroken: false },
    { utf8: declared },
  );
  if (recipient === undefined) return { reply: '501 5.1.3 Bad recipient address syntax' };
  const refused = await refuseRecipient(session, recipient);
  return { reply: refused ?? `252 2.0.0 ${given.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')}` };
}

interface AddressRules {
  /** `<>` is an address, too. */
  readonly allowNull?: boolean;
  /** The domain may be in Unicode. */
  readonly utf8: boolean;
}

/** Reads an address, and asks where mail for it would go; `undefined` when it is none. */
async function readAddress(
  session: Session,
  word: Word,
  { allowNull = false, utf8 }: AddressRules,
): Promise<GivenAddress | undefined> {
  if (word.isBroken) return undefined;
  const { smtpd } = session;
  const path = parsePath(word.text, {
    strict: smtpd.parameters.strict_rfc821_envelopes,
    allowNull,
  });
  if (path !== undefined) {
    const { address, external } = path;
    if (address === '') return { address, external, route: NO_ROUTE };
    const route = await smtpd.resolve(session.transaction?.sender.address ?? '', address);
    const isBad =
      (route.flags & RESOLVE.ERROR) !== 0 || (!utf8 && hasUnicodeDomain(route.recipient));
    if (!isBad) return { address, external, route };
  }
  smtpd.log.warn(
    `Illegal address syntax from ${session.client.label} in ${session.stage} command: ${word.text}`,
  );
  return undefined;
}

/** The parameters of MAIL and RCPT that the client may use. */
function rulesFor({ client }: Session): ParameterRules {
  return client.offer?.rules ?? NO_PARAMETERS;
}

const NO_PARAMETERS: ParameterRules = { dsn: false };

interface Arguments {
  readonly path: Word;
  readonly parameters: readonly string[];
}

/** `FROM:<a@b.c> SIZE=1`: a blank may follow the colon, but not come before it. */
function splitArguments(words: readonly Word[], keyword: string): Arguments | undefined {
  const [, first, second] = words;
  if (first === undefined) return undefined;
  const { text, isBroken } = first;
  if (text.slice(0, keyword.length).toUpperCase() !== keyword) return undefined;
  if (text.length > keyword.length) {
    const path = { text: text.slice(keyword.length), isBroken };
    return { path, parameters: textsFrom(words, 2) };
  }
  return second && { path: second, parameters: textsFrom(words, 3) };
}

const NO_TEXTS: readonly string[] = [];

function textsFrom(words: readonly Word[], first: number): readonly string[] {
  return words.length <= first ? NO_TEXTS : words.slice(first).map(({ text }) => text);
}

const isSmtpUtf8 = (text: string) => text.toUpperCase() === SMTPUTF8;

/** A domain in Unicode is only an address to those who declared SMTPUTF8. */
function hasUnicodeDomain(address: string): boolean {
  return address.includes('@') && isUnicode(address.slice(address.lastIndexOf('@') + 1));
}

function isUnicode(text: string): boolean {
  return /[\u0080-\uffff]/.test(text);
}
