/**
 * Bad mail whose submitter has left (BOUNCE flag): its sender gets a notice, made from a bounce log
 * that is written here.
 */

import { BOUNCE_FLAG } from '../../lib/clients/bounce.ts';
import { splitStatus } from '../../lib/dsn/status.ts';
import { toLogText } from '../../lib/message/byte-string.ts';
import type { Message } from './message.ts';
import { FLAG, STATUS, statusDetail } from './protocol.ts';

/**
 * Returns a message to its sender. Afterwards it is to be dropped, without an error; or, when the
 * notice could not be queued, to be tried again.
 */
export async function returnToSender(message: Message): Promise<void> {
  const detail = statusDetail(message.errors);
  const reason =
    message.reason === ''
      ? detail
      : splitStatus(message.reason, detail.status as Parameters<typeof splitStatus>[1]);
  if (await notify(message, reason.status, reason.text)) {
    message.errors = 0;
    message.flags |= FLAG.DISCARD;
    return;
  }
  message.warn('bounce message failure');
  message.fail(STATUS.WRITE);
}

async function notify(message: Message, status: string, text: string): Promise<boolean> {
  const { bounce } = message.surroundings;
  const detail = {
    status,
    diagType: '',
    diagText: '',
    mtaType: '',
    mtaName: '',
    action: 'failed',
    reason: text,
  };
  const unknown = { original: '', address: 'unknown', offset: 0, dsnOriginal: '', notify: 0 };
  const recipients = message.written.length > 0 ? message.written : [unknown];
  for (const recipient of recipients) {
    if (!(await bounce.append('bounce', message.id, BOUNCE_FLAG.CLEAN, recipient, detail))) {
      return false;
    }
    logBounced(message, recipient.address, recipient.original, status, text);
  }
  const subject = {
    flags: BOUNCE_FLAG.CLEAN,
    queueName: 'incoming',
    queueId: message.id,
    encoding: message.attributes.get('encoding') ?? '',
    sendOptions: message.sendOptions,
    sender: toLogText(message.sender ?? ''),
    envelopeId: message.envelopeId,
    retFlags: message.returnFlags,
  };
  if (message.verpDelimiters !== '') return bounce.verp('bounce', subject, message.verpDelimiters);
  return bounce.flush('bounce', subject);
}

function logBounced(message: Message, to: string, origTo: string, dsn: string, text: string): void {
  message.info({
    kind: 'delivery',
    queueId: message.id,
    to,
    origTo: origTo === '' ? undefined : origTo,
    relay: 'none',
    delay: message.ageSeconds,
    delays: [message.ageSeconds, 0, 0, 0],
    dsn,
    status: 'bounced',
    text,
  });
}
