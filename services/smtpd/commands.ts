/**
 * The SMTP commands: one function each, the session and the command's words in, an answer out.
 * The order of the checks in each is Postfix's, since it decides which reply a client sees
 * (smtp-replies.md section 3). Here are the simple ones; MAIL, RCPT and the others that take an
 * address are in envelope-commands.ts.
 */

import type { Answer } from './answer.ts';
import { auth, authLines } from './auth.ts';
import { bdat } from './bdat.ts';
import { declineContent } from './before-queue.ts';
import type { CountedCommand } from './command-counts.ts';
import { openDotContent } from './content.ts';
import { mail, rcpt, vrfy } from './envelope-commands.ts';
import { etrn } from './etrn.ts';
import { sanitizeName } from './hostname.ts';
import { AUTH_PLACE, type Offer, STARTTLS } from './keywords.ts';
import type { Session } from './session.ts';
import { starttls } from './starttls.ts';
import { joinWords, type Word } from './words.ts';
import { xclient, xforward } from './xclient.ts';

/** A command that smtpd knows. */
export interface Command {
  /** In capitals, as the log shows it. */
  readonly name: string;
  readonly counted: CountedCommand;
  /** RFC 2920: more may follow before our reply. */
  readonly mayPipeline?: boolean;
  /** It does nothing for mail: too many of them are errors. */
  readonly isJunk?: boolean;
  /** @param words the command itself is the first */
  run(session: Session, words: readonly Word[]): Promise<Answer> | Answer;
}

const COMMANDS = new Map<string, Command>(
  (
    [
      { name: 'HELO', counted: 'helo', isJunk: true, run: helo },
      { name: 'EHLO', counted: 'ehlo', isJunk: true, run: ehlo },
      { name: 'MAIL', counted: 'mail', mayPipeline: true, run: mail },
      { name: 'RCPT', counted: 'rcpt', mayPipeline: true, run: rcpt },
      { name: 'DATA', counted: 'data', run: data },
      { name: 'RSET', counted: 'rset', mayPipeline: true, isJunk: true, run: rset },
      { name: 'NOOP', counted: 'noop', isJunk: true, run: () => OK },
      { name: 'VRFY', counted: 'vrfy', isJunk: true, run: vrfy },
      { name: 'ETRN', counted: 'etrn', mayPipeline: true, isJunk: true, run: etrn },
      { name: 'QUIT', counted: 'quit', mayPipeline: true, run: () => BYE },
      {
        name: 'STARTTLS',
        counted: 'starttls',
        mayPipeline: true,
        run: starttls,
      },
      {
        name: 'AUTH',
        counted: 'auth',
        mayPipeline: true,
        run: auth,
      },
      { name: 'BDAT', counted: 'bdat', mayPipeline: true, run: bdat },
      { name: 'XCLIENT', counted: 'xclient', mayPipeline: true, run: xclient },
      { name: 'XFORWARD', counted: 'xforward', mayPipeline: true, run: xforward },
    ] satisfies Command[]
  ).map((command) => [command.name, command]),
);

const OK: Answer = { reply: '250 2.0.0 Ok' };
const BYE: Answer = { reply: '221 2.0.0 Bye', closes: true };

/** Verbs are case-insensitive. */
export function findCommand(word: string): Command | undefined {
  return COMMANDS.get(word) ?? COMMANDS.get(word.toUpperCase());
}

async function helo(session: Session, words: readonly Word[]): Promise<Answer> {
  const refused = await greet(session, words, 'SMTP');
  if (refused !== undefined && refused !== 'filtered') return refused;
  return { reply: `250 ${session.smtpd.parameters.myhostname}` };
}

async function ehlo(session: Session, words: readonly Word[]): Promise<Answer> {
  const refused = await greet(session, words, 'ESMTP');
  if (refused !== undefined && refused !== 'filtered') return refused;
  const { smtpd, client } = session;
  const { myhostname } = smtpd.parameters;
  const { offer } = client;
  if (offer === undefined) {
    const reply = `421 4.3.0 ${myhostname} Server local data error`;
    smtpd.log.warn(`don't know what EHLO features to announce to ${client.label}`);
    smtpd.log.info(`NOQUEUE: reject: ${session.stage} from ${client.label}: ${reply}`);
    return { reply, closes: true };
  }
  if (refused === 'filtered') return { reply: [`250-${myhostname}`, '250 ENHANCEDSTATUSCODES'] };
  if (offer.discarded !== '') smtpd.log.info(`discarding EHLO keywords: ${offer.discarded}`);
  const offered = offer.auth ? await withAuth(session, offer) : offer.keywords;
  const isPlain = !session.isEncrypted;
  const lines = [myhostname, ...offered.filter((line) => isPlain || line !== STARTTLS)];
  return { reply: lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`) };
}

/** The keywords, with those of AUTH in their place. */
async function withAuth(session: Session, { keywords }: Offer): Promise<readonly string[]> {
  const lines = await authLines(session);
  return keywords.flatMap((line) => (line === AUTH_PLACE ? lines : [line]));
}

/** @returns `filtered`: a milter has refused the client, and nothing is to be offered to it */
async function greet(
  session: Session,
  words: readonly Word[],
  protocol: 'SMTP' | 'ESMTP',
): Promise<Answer | 'filtered' | undefined> {
  if (words.length < 2) return { reply: `501 Syntax: ${session.stage} hostname` };
  const { smtpd, helo: earlier, milters } = session;
  const name = joinWords(words, 1);
  if (!smtpd.parameters.smtpd_delay_reject) {
    // Asked at once, restrictions see the name as it was typed: Postfix.
    session.helo = name;
    const refusal = await session.refusalAt('helo');
    if (refusal !== undefined) {
      session.helo = earlier;
      return { reply: refusal };
    }
  }
  session.helo = sanitizeName(name);
  let isFiltered = false;
  if (milters !== undefined) {
    const { farewell, isRefused } = await milters.helo(name);
    if (farewell !== undefined) {
      session.helo = earlier;
      return { reply: farewell };
    }
    isFiltered = isRefused;
    if (earlier !== undefined) milters.restart();
  }
  session.endChapter();
  session.reset();
  // A client that has said EHLO goes on to pipeline its commands, whatever it says after that.
  if (protocol === 'ESMTP') session.protocol = protocol;
  return isFiltered ? 'filtered' : undefined;
}

async function data(session: Session, words: readonly Word[]): Promise<Answer> {
  const { transaction } = session;
  if (session.chunks !== undefined) return { reply: '503 5.5.1 Error: DATA after BDAT' };
  if (transaction === undefined) return { reply: '503 5.5.1 Error: need RCPT command' };
  const { message } = transaction;
  if (message === undefined || transaction.recipients.length === 0) {
    return { reply: '554 5.5.1 Error: no valid recipients' };
  }
  if (words.length > 1) return { reply: '501 5.5.4 Syntax: DATA' };
  const refusal = (await session.refusal('data')) ?? (await declineContent(message));
  if (refusal !== undefined) return { reply: refusal };
  const filtered = await session.milters?.data();
  if (filtered !== undefined) return { reply: filtered };
  const content = await openDotContent(session, transaction, message);
  return { reply: '354 End data with <CR><LF>.<CR><LF>', content };
}

function rset(session: Session, words: readonly Word[]): Answer {
  if (words.length > 1) return { reply: '501 5.5.4 Syntax: RSET' };
  session.endChapter();
  session.reset();
  return OK;
}
