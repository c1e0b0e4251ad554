/** ETRN: a client asks for the mail that waits for a domain. RFC 1985. */
import { FLUSH_STATUS } from '../../lib/clients/flush.ts';
import type { Answer } from './answer.ts';
import { isHost, isLiteral } from './hostname.ts';
import type { Session } from './session.ts';
import type { Word } from './words.ts';

const UNABLE: Answer = { reply: '458 Unable to queue messages' };

export async function etrn(session: Session, words: readonly Word[]): Promise<Answer> {
  const { smtpd } = session;
  if (smtpd.parameters.smtpd_helo_required && session.helo === undefined) {
    return { reply: '503 Error: send HELO/EHLO first' };
  }
  const filtered = session.milters?.refusal();
  if (filtered !== undefined) return { reply: filtered };
  if (session.transaction) return { reply: '503 Error: MAIL transaction in progress' };
  const given = words[1]?.text;
  if (given === undefined || words.length > 2) return { reply: '500 Syntax: ETRN domain' };
  const domain = given.replace(/^[@#]/, '');
  if (!isHost(domain) && !isLiteral(domain))
    return { reply: '501 Error: invalid parameter syntax' };
  const refusal = await session.refusal('etrn', { etrnDomain: domain });
  if (refusal !== undefined) return { reply: refusal };
  return requestFlush(session, domain);
}

async function requestFlush({ smtpd, client }: Session, domain: string): Promise<Answer> {
  const shown = `ETRN ${domain.slice(0, 100)}... from ${client.label}`;
  switch (await smtpd.flushSite(domain)) {
    case FLUSH_STATUS.OK:
      return { reply: '250 Queuing started' };
    case FLUSH_STATUS.DENY:
      smtpd.log.warn(`reject: ${shown}`);
      return { reply: `459 <${domain}>: service unavailable` };
    case FLUSH_STATUS.BAD:
      smtpd.log.warn(`bad ${shown}`);
      return UNABLE;
    default:
      smtpd.log.warn('unable to talk to fast flush service');
      return UNABLE;
  }
}
