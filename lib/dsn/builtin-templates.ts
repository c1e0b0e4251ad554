/** What notices say when the administrator has not written something better. */
import type { Template, TemplateName } from './template.ts';

const HELP = [
  'Should you need help with this, write to <postmaster>, and send',
  'the whole of this report along. Of your own message, which is',
  'attached, the first lines are enough.',
  '',
  '                   The mail system',
];

/** The built-in templates; their origin in messages is `[built-in]`. */
export const BUILTIN_TEMPLATES: Readonly<Record<TemplateName, Template>> = {
  failure: builtin('failure', {
    subject: 'Undelivered Mail Returned to Sender',
    postmasterSubject: 'Postmaster Copy: Undelivered Mail',
    text: [
      'Your message did not reach everybody it was meant for. Below is a',
      'list of the recipients that it could not be delivered to, and why.',
      'No further attempt will be made. Your message is attached.',
      '',
      ...HELP,
    ],
  }),
  delay: builtin('delay', {
    subject: 'Delayed Mail (still being retried)',
    postmasterSubject: 'Postmaster Warning: Delayed Mail',
    text: [
      'THIS IS ONLY A WARNING. PLEASE DO NOT SEND YOUR MESSAGE AGAIN.',
      '',
      'For more than $delay_warning_time_hours hour(s) your message has been waiting here, because',
      'it could not be delivered yet. Delivery will be tried again until the',
      'message is $maximal_queue_lifetime_days day(s) old.',
      '',
      ...HELP,
    ],
  }),
  success: builtin('success', {
    subject: 'Successful Mail Delivery Report',
    text: [
      'Your message was delivered, as you can see below. For a recipient',
      'whose mailbox is here, that is the end of the story. Where the',
      'message was passed on to another system, that one may still report',
      'trouble to you.',
      '',
      '                   The mail system',
    ],
  }),
  verify: builtin('verify', {
    subject: 'Mail Delivery Status Report',
    text: [
      'Here is the delivery report that you asked for.',
      '',
      '                   The mail system',
    ],
  }),
};

function builtin(
  name: TemplateName,
  parts: { subject: string; postmasterSubject?: string; text: readonly string[] },
): Template {
  return {
    name,
    origin: '[built-in]',
    charset: 'us-ascii',
    from: undefined,
    subject: parts.subject,
    postmasterSubject: parts.postmasterSubject ?? '',
    text: ['This is the mail system at host $myhostname.', '', ...parts.text],
  };
}
