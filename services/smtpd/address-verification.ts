/** reject_unverified_sender, reject_unverified_recipient: verify(8) knows whether an address works. */
import { isProbeSender } from '../../lib/address/probe-sender.ts';
import { RECIPIENT_STATUS, type VerifyAnswer } from '../../lib/clients/verify.ts';
import { now, sleep } from '../../lib/clock/clock.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { tempfail } from './dns-restrictions.ts';
import type { Knowledge, Restriction, Settings } from './rule.ts';
import { DUNNO, reject, rejected, type Subject, type Verdict } from './verdict.ts';

const REASON_MAX = 250;

/** The parameters of one of them. */
interface Rules {
  readonly rejectCode: number;
  readonly deferCode: number;
  readonly rejectReason: string;
  readonly tempfailAction: string;
}

const requireSender: Restriction = ({ sender = '' }, knowledge) =>
  sender === ''
    ? DUNNO
    : requireVerified({ name: sender, kind: 'sender' }, senderRules(knowledge.settings), knowledge);

export const VERIFY_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  reject_unverified_sender: requireSender,
  reject_unverified_recipient: ({ recipient = '' }, knowledge) =>
    recipient === ''
      ? DUNNO
      : requireVerified(
          { name: recipient, kind: 'recipient' },
          recipientRules(knowledge.settings),
          knowledge,
        ),
};

const senderRules = (settings: Settings): Rules => ({
  rejectCode: settings.unverified_sender_reject_code,
  deferCode: settings.unverified_sender_defer_code,
  rejectReason: settings.unverified_sender_reject_reason,
  tempfailAction: settings.unverified_sender_tempfail_action,
});

const recipientRules = (settings: Settings): Rules => ({
  rejectCode: settings.unverified_recipient_reject_code,
  deferCode: settings.unverified_recipient_defer_code,
  rejectReason: settings.unverified_recipient_reject_reason,
  tempfailAction: settings.unverified_recipient_tempfail_action,
});

async function requireVerified(
  subject: Subject,
  rules: Rules,
  knowledge: Knowledge,
): Promise<Verdict> {
  const { settings } = knowledge;
  const probe = {
    sender: settings.address_verify_sender,
    ttlSeconds: settings.address_verify_sender_ttl,
  };
  // Our own probes come from it.
  if (isProbeSender(subject.name, probe, Math.floor(now() / 1000))) return DUNNO;
  const status = subject.kind === 'sender' ? '4.1.7' : '4.1.1';
  const answer = await poll(subject.name, knowledge);
  if (answer === undefined || answer.status !== 0) {
    const why = rejected(subject, 'address verification problem');
    return tempfail(rules.tempfailAction, status, why, 'verify does not answer');
  }
  const { recipientStatus } = answer;
  if (recipientStatus === RECIPIENT_STATUS.OK) return DUNNO;
  const reason = rules.rejectReason || answer.reason;
  const isBounced = recipientStatus === RECIPIENT_STATUS.BOUNCE;
  const code = isBounced ? rules.rejectCode : rules.deferCode;
  if (code < 400) return DUNNO;
  if (isBounced && code >= 500) {
    return reject(code, status, rejected(subject, `undeliverable address: ${reason}`));
  }
  const why = rejected(subject, `unverified address: ${reason.slice(0, REASON_MAX)}`);
  return reject(code, status, why);
}

/** Asks until it is known, or for as long as a client may wait. */
async function poll(
  address: string,
  { verify, settings }: Knowledge,
): Promise<VerifyAnswer | undefined> {
  const { address_verify_poll_count: count, address_verify_poll_delay: seconds } = settings;
  try {
    for (let asked = 1; ; asked += 1) {
      const answer = await verify.query(address);
      const isPending = answer.status === 0 && answer.recipientStatus === RECIPIENT_STATUS.PENDING;
      if (!isPending || asked >= count) return answer;
      await sleep(seconds * 1000);
    }
  } catch (error) {
    if (error instanceof IpcError) return undefined;
    throw error;
  }
}
