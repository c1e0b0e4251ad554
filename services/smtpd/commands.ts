/**
 * The SMTP commands: one function each, the session and the argument in, an answer out.
 * The order of the checks in each is Postfix's, since it decides which reply a client sees
 * (smtp-replies.md section 3).
 */
import { parsePath } from '../../lib/address/path.ts';
import { now } from '../../lib/clock/clock.ts';
import { parseMailParameters, parseRcptParameters } from '../../lib/smtp/arguments.ts';
import type { CountedCommand } from './command-counts.ts';
import { finishContent, openContent } from './content.ts';
import { formatEnvelope, formatRecipient } from './envelope.ts';
import type { Answer, Session } from './session.ts';

/** A command that smtpd knows. */
export interface Command {
  /** In capitals, as the log shows it. */
  readonly name: string;
  readonly counted: CountedCommand;
  run(session: Session, argument: string): Promise<Answer> | Answer;
}

/** What a client may call itself; the rest is made harmless before it is logged. */
const HELO_MAX = 255;

const COMMANDS = new Map<string, Command>(
  (
    [
      { name: 'HELO', counted: 'helo', run: helo },
      { name: 'EHLO', counted: 'ehlo', run: ehlo },
      { name: 'MAIL', counted: 'mail', run: mail },
      { name: 'RCPT', counted: 'rcpt', run: rcpt },
      { name: 'DATA', counted: 'data', run: data },
      { name: 'RSET', counted: 'rset', run: rset },
      { name: 'NOOP', counted: 'noop', run: () => OK },
      { name: 'VRFY', counted: 'vrfy', run: vrfy },
      { name: 'QUIT', counted: 'quit', run: () => ({ reply: '221 2.0.0 Bye', closes: true }) },
      { name: 'ETRN', counted: 'etrn', run: notBuilt('458 Unable to queue messages') },
      {
        name: 'STARTTLS',
        counted: 'starttls',
        run: notBuilt('502 5.5.1 Error: command not implemented'),
      },
      {
        name: 'AUTH',
        counted: 'auth',
        run: notBuilt('503 5.5.1 Error: authentication not enabled'),
      },
      { name: 'BDAT', counted: 'bdat', run: bdat },
      { name: 'XCLIENT', counted: 'xclient', run: unauthorized },
      { name: 'XFORWARD', counted: 'xforward', run: unauthorized },
    ] satisfies Command[]
  ).map((command) => [command.name, command]),
);

const OK: Answer = { reply: '250 2.0.0 Ok' };

/** Verbs are case-insensitive. */
export function findCommand(word: string): Command | undefined {
  return COMMANDS.get(word.toUpperCase());
}

/** What a Postfix without the feature answers. */
function notBuilt(reply: string): Command['run'] {
  return () => ({ reply });
}

/** CHUNKING is not offered, so a client that sends BDAT does not listen. */
function bdat(): Answer {
  return { reply: '521 5.5.1 Error: command not implemented', closes: true };
}

/** XCLIENT and XFORWARD: no client is authorized. */
function unauthorized(session: Session, argument: string): Answer {
  if (session.transaction) return { reply: '503 5.5.1 Error: MAIL transaction in progress' };
  if (argument === '') {
    return { reply: `501 5.5.4 Syntax: ${session.stage} attribute=value...` };
  }
  return { reply: '550 5.7.0 Error: insufficient authorization' };
}

async function helo(session: Session, argument: string): Promise<Answer> {
  return (
    (await greet(session, argument, 'SMTP')) ?? {
      reply: `250 ${session.smtpd.parameters.myhostname}`,
    }
  );
}

async function ehlo(session: Session, argument: string): Promise<Answer> {
  const refused = await greet(session, argument, 'ESMTP');
  if (refused) return refused;
  const { keywords, parameters } = session.smtpd;
  const lines = [parameters.myhostname, ...keywords];
  return { reply: lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`) };
}

async function greet(
  session: Session,
  argument: string,
  protocol: 'SMTP' | 'ESMTP',
): Promise<Answer | undefined> {
  if (argument === '') return { reply: `501 Syntax: ${session.stage} hostname` };
  const { smtpd, helo: earlier } = session;
  session.helo = sanitizeHelo(argument);
  if (!smtpd.parameters.smtpd_delay_reject) {
    const { refusal } = await smtpd.decide(smtpd.lists.helo, session);
    if (refusal !== undefined) {
      session.logRule('reject', refusal);
      session.helo = earlier;
      return { reply: refusal };
    }
  }
  session.reset();
  session.protocol = protocol;
  return undefined;
}

/** It goes into the log, the Received header and the queue file. */
function sanitizeHelo(argument: string): string {
  const words = argument.split(/\s+/).join(' ');
  return words.slice(0, HELO_MAX).replace(/[^\x21-\x7e\u00a0-\uffff]|[<>()\\";,]/g, '?');
}

async function mail(session: Session, argument: string): Promise<Answer> {
  const { smtpd } = session;
  const { parameters } = smtpd;
  if (parameters.smtpd_helo_required && session.helo === undefined) {
    return { reply: '503 5.5.1 Error: send HELO/EHLO first' };
  }
  if (session.transaction) return { reply: '503 5.5.1 Error: nested MAIL command' };
  const text = afterKeyword(argument, 'FROM');
  if (text === undefined) return { reply: '501 5.5.4 Syntax: MAIL FROM:<address>' };
  const path = parsePath(text, { strict: parameters.strict_rfc821_envelopes, allowNull: true });
  const wishes = parseMailParameters(wordsOf(path.rest), smtpd.parameterRules);
  if ('error' in path || ('body' in wishes && hasForeignDomain(path.address, wishes.smtputf8))) {
    warnSyntax(session, 'MAIL', argument);
    return { reply: '501 5.1.7 Bad sender address syntax' };
  }
  if ('refusal' in wishes) return { reply: wishes.refusal };
  session.transaction = {
    sender: { address: path.address, external: path.external },
    arrival: now(),
    encoding: { '7BIT': '7bit', '8BITMIME': '8bit' }[wishes.body] ?? '',
    smtputf8: wishes.smtputf8,
    envelopeId: wishes.envid,
    retFlags: wishes.ret,
    saslSender: '',
    recipients: [],
    overshoot: 0,
    message: undefined,
    deferIfPermit: undefined,
  };
  const refusal = await refuseSender(session, wishes.size);
  if (refusal === undefined) return { reply: '250 2.1.0 Ok' };
  session.reset();
  return { reply: refusal };
}

async function refuseSender(
  session: Session,
  size: number | undefined,
): Promise<string | undefined> {
  const { smtpd } = session;
  const { parameters } = smtpd;
  const limit = parameters.message_size_limit;
  if (limit > 0 && size !== undefined && size > limit) {
    const refusal = '552 5.3.4 Message size exceeds fixed limit';
    session.logRule('reject', refusal);
    return refusal;
  }
  if (!parameters.smtpd_delay_reject) {
    const { refusal, warnings } = await smtpd.decide(smtpd.lists.sender, session);
    for (const warning of warnings) session.logRule('reject_warning', warning);
    if (refusal !== undefined) {
      session.logRule('reject', refusal);
      return refusal;
    }
  }
  const sender = session.transaction?.sender.address ?? '';
  if (parameters.strict_smtputf8 && isUnicode(sender) && !session.transaction?.smtputf8) {
    return '553 5.6.7 Must declare SMTPUTF8 to send unicode address';
  }
  return smtpd.hasSpace(size ?? 0) ? undefined : '452 4.3.1 Insufficient system storage';
}

async function rcpt(session: Session, argument: string): Promise<Answer> {
  const { smtpd, transaction } = session;
  const { parameters } = smtpd;
  if (!transaction) return { reply: '503 5.5.1 Error: need MAIL command' };
  const text = afterKeyword(argument, 'TO');
  if (text === undefined) return { reply: '501 5.5.4 Syntax: RCPT TO:<address>' };
  const path = parsePath(text, { strict: parameters.strict_rfc821_envelopes });
  if ('error' in path || hasForeignDomain(path.address, transaction.smtputf8)) {
    warnSyntax(session, 'RCPT', argument);
    return { reply: '501 5.1.3 Bad recipient address syntax' };
  }
  const wishes = parseRcptParameters(wordsOf(path.rest), smtpd.parameterRules);
  if ('refusal' in wishes) return { reply: wishes.refusal };
  if (transaction.recipients.length >= parameters.smtpd_recipient_limit) {
    transaction.overshoot += 1;
    return {
      reply: '452 4.5.3 Error: too many recipients',
      isError: transaction.overshoot > parameters.smtpd_recipient_overshoot_limit,
    };
  }
  if (parameters.strict_smtputf8 && isUnicode(path.address) && !transaction.smtputf8) {
    return { reply: '553 5.6.7 Must declare SMTPUTF8 to send unicode address' };
  }
  const refusal = await refuseRecipient(session, path.address);
  if (refusal !== undefined) return { reply: refusal };
  const original = wishes.orcpt || `rfc822;${path.external}`;
  return acceptRecipient(session, path.address, {
    notify: wishes.notify,
    originalRecipient: original,
  });
}

/** What the restrictions say of a recipient; logged when they refuse it. */
async function refuseRecipient(session: Session, recipient: string): Promise<string | undefined> {
  // RFC 5321 4.5.1: whoever has trouble with us can always write to postmaster.
  if (/^postmaster$/i.test(recipient)) return undefined;
  const { smtpd, transaction } = session;
  const decision = await smtpd.decideRecipient(session, recipient);
  for (const warning of decision.warnings) session.logRule('reject_warning', warning, recipient);
  const refusal = decision.refusal ?? decision.deferIfPermit;
  if (refusal === undefined) return undefined;
  if (transaction && transaction === session.transaction) {
    session.logRule('reject', refusal, recipient);
  }
  return refusal;
}

async function acceptRecipient(
  session: Session,
  recipient: string,
  wishes: { notify: number; originalRecipient: string },
): Promise<Answer> {
  const { smtpd, transaction, client } = session;
  if (!transaction) return { reply: '503 5.5.1 Error: need MAIL command' };
  if (transaction.message === undefined) {
    const message = await smtpd.openMessage(transaction);
    if (message === undefined) return { reply: '451 4.3.0 Error: queue file write error' };
    if (session.transaction !== transaction || !session.connection.isOpen) {
      message.abort();
      return { reply: '451 4.3.0 Error: queue file write error' };
    }
    transaction.message = message;
    smtpd.log.info({ kind: 'client', queueId: message.queueId, client: client.label });
    await message.write(
      formatEnvelope({
        queueId: message.queueId,
        client,
        transaction,
        helo: session.helo,
        protocol: session.protocol,
        contentFilter: smtpd.parameters.content_filter,
        isLocalRewrite: await smtpd.isLocalRewriteClient(client.address),
      }),
    );
  }
  await transaction.message.write(formatRecipient(recipient, wishes));
  transaction.recipients.push(recipient);
  return { reply: '250 2.1.5 Ok' };
}

async function data(session: Session, argument: string): Promise<Answer> {
  const { smtpd, transaction } = session;
  if (!transaction) return { reply: '503 5.5.1 Error: need RCPT command' };
  if (transaction.message === undefined) return { reply: '554 5.5.1 Error: no valid recipients' };
  if (argument !== '') return { reply: '501 5.5.4 Syntax: DATA' };
  const { refusal, warnings } = await smtpd.decide(smtpd.lists.data, session);
  for (const warning of warnings) session.logRule('reject_warning', warning);
  if (refusal !== undefined) {
    session.logRule('reject', refusal);
    return { reply: refusal };
  }
  const reader = await openContent(session, transaction, transaction.message);
  const { message } = transaction;
  return {
    reply: '354 End data with <CR><LF>.<CR><LF>',
    content: {
      reader,
      write: (records) => message.write(records),
      finish: () => finishContent(session, transaction, message, reader),
    },
  };
}

function rset(session: Session, argument: string): Answer {
  if (argument !== '') return { reply: '501 5.5.4 Syntax: RSET' };
  session.reset();
  return OK;
}

async function vrfy(session: Session, argument: string): Promise<Answer> {
  const { parameters } = session.smtpd;
  if (parameters.disable_vrfy_command) return { reply: '502 5.5.1 VRFY command is disabled' };
  const utf8 = parameters.smtputf8_enable;
  if (argument === '') {
    return { reply: `501 5.5.4 Syntax: VRFY address${utf8 ? ' [SMTPUTF8]' : ''}` };
  }
  const path = parsePath(argument);
  if ('error' in path) {
    warnSyntax(session, 'VRFY', argument);
    return { reply: '501 5.1.3 Bad recipient address syntax' };
  }
  const refusal = await refuseRecipient(session, path.address);
  if (refusal !== undefined) {
    if (!session.transaction) session.logRule('reject', refusal, path.address);
    return { reply: refusal };
  }
  return { reply: `252 2.0.0 ${argument.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')}` };
}

/** What follows `FROM:` or `TO:`; the colon may have blanks around it. */
function afterKeyword(argument: string, keyword: string): string | undefined {
  const start = argument.slice(0, keyword.length);
  if (start.toUpperCase() !== keyword) return undefined;
  const rest = argument.slice(keyword.length).trimStart();
  if (!rest.startsWith(':')) return undefined;
  const path = rest.slice(1).trimStart();
  return path === '' ? undefined : path;
}

function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split(/\s+/);
}

/** A domain in Unicode is only an address to those who declared SMTPUTF8. */
function hasForeignDomain(address: string, smtputf8: boolean): boolean {
  return (
    !smtputf8 && isUnicode(address.slice(address.lastIndexOf('@') + 1)) && address.includes('@')
  );
}

function isUnicode(text: string): boolean {
  return /[\u0080-\uffff]/.test(text);
}

function warnSyntax(session: Session, command: string, argument: string): void {
  session.smtpd.log.warn(
    `Illegal address syntax from ${session.client.label} in ${command} command: ` +
      argument.replace(/^(?:FROM|TO)\s*:\s*/i, '').slice(0, 100),
  );
}
