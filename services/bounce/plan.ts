/** Which notices a message gets, and who gets them. Pure; queue.md 6.2. */

import { NOTIFY } from '../../lib/dsn/notify.ts';
import type { TemplateName } from '../../lib/dsn/template.ts';

/** What main.cf says about notices. */
export interface NoticeRules {
  /** notify_classes. */
  readonly classes: ReadonlySet<string>;
  /** double-bounce@myhostname: sender of all that must not come back as a bounce. */
  readonly doubleBounce: string;
  readonly bounceRecipient: string;
  readonly doubleBounceRecipient: string;
  readonly delayRecipient: string;
}

/** One notice to be made. */
export interface PlannedNotice {
  /** Envelope sender: null, or the double-bounce address. */
  readonly from: string;
  readonly to: string;
  readonly template: TemplateName;
  /** Postmaster's subject and no text. */
  readonly postmaster: boolean;
  /** A bit of NOTIFY: only recipients whose sender wants this; 0: all. */
  readonly wanted: number;
  /** `asked`: what RET says, otherwise the whole message. */
  readonly attach: 'asked' | 'message' | 'headers';
  /** A copy is an extra: when it fails, the request does not. */
  readonly copy: boolean;
  readonly logged: {
    readonly to: 'sender' | 'postmaster';
    readonly notice: 'non-delivery' | 'delay' | 'delivery status';
  };
}

/** The notices in their order, or why there is none. */
export interface Plan {
  readonly notices: readonly PlannedNotice[];
  readonly warning?: string;
  readonly note?: string;
}

const NOTHING: Plan = { notices: [] };
const DISCARDED: Plan = {
  notices: [],
  warning: 'undeliverable postmaster notification discarded',
};

/** Recipients failed for good. */
export function planFailure(sender: string, rules: NoticeRules): Plan {
  if (isDoubleBounce(sender, rules)) return DISCARDED;
  const { classes, doubleBounce } = rules;
  const postmaster: PlannedNotice = {
    from: doubleBounce,
    to: rules.bounceRecipient,
    template: 'failure',
    postmaster: true,
    wanted: 0,
    attach: 'headers',
    copy: true,
    logged: { to: 'postmaster', notice: 'non-delivery' },
  };
  if (sender === '') {
    if (!classes.has('2bounce') && !classes.has('bounce')) return NOTHING;
    const to = rules.doubleBounceRecipient;
    return { notices: [{ ...postmaster, to, attach: 'message', copy: false }] };
  }
  const notice: PlannedNotice = {
    ...postmaster,
    from: '',
    to: sender,
    postmaster: false,
    wanted: NOTIFY.failure,
    attach: 'asked',
    copy: false,
    logged: { to: 'sender', notice: 'non-delivery' },
  };
  return { notices: classes.has('bounce') ? [notice, postmaster] : [notice] };
}

/** Recipients have been waiting for delay_warning_time. */
export function planDelay(sender: string, rules: NoticeRules): Plan {
  if (isDoubleBounce(sender, rules)) return DISCARDED;
  const { classes, doubleBounce } = rules;
  const postmaster: PlannedNotice = {
    from: doubleBounce,
    to: rules.delayRecipient,
    template: 'delay',
    postmaster: true,
    wanted: 0,
    attach: 'headers',
    copy: true,
    logged: { to: 'postmaster', notice: 'delay' },
  };
  if (sender === '') {
    if (!classes.has('delay')) return NOTHING;
    return { notices: [{ ...postmaster, attach: 'message', copy: false }] };
  }
  const notice: PlannedNotice = {
    ...postmaster,
    from: '',
    to: sender,
    postmaster: false,
    wanted: NOTIFY.delay,
    copy: false,
    logged: { to: 'sender', notice: 'delay' },
  };
  return { notices: classes.has('delay') ? [notice, postmaster] : [notice] };
}

/** Somebody wants to hear of success, or asked for a report (`verify`). */
export function planTrace(sender: string, verify: boolean, rules: NoticeRules): Plan {
  const notice: PlannedNotice = {
    from: '',
    to: sender,
    template: verify ? 'verify' : 'success',
    postmaster: false,
    wanted: 0,
    attach: 'headers',
    copy: false,
    logged: { to: 'sender', notice: 'delivery status' },
  };
  if (isDoubleBounce(sender, rules)) return unreported('double-bounce');
  if (sender !== '') return { notices: [notice] };
  if (!rules.classes.has('2bounce')) return unreported('single-bounce');
  return { notices: [{ ...notice, from: rules.doubleBounce, to: rules.doubleBounceRecipient }] };
}

function unreported(what: string): Plan {
  return { notices: [], note: `not sending trace/success notification for ${what} message` };
}

function isDoubleBounce(sender: string, rules: NoticeRules): boolean {
  return sender.toLowerCase() === rules.doubleBounce.toLowerCase();
}

/** VERP: the sender's address with the recipient's in it: `list+bob=example.com@example.org`. */
export function verpSender(sender: string, recipient: string, delimiters: string): string {
  const at = sender.lastIndexOf('@');
  const local = at < 0 ? sender : sender.slice(0, at);
  const domain = at < 0 ? '' : sender.slice(at);
  const to = recipient.lastIndexOf('@');
  const inside =
    to < 0 ? recipient : `${recipient.slice(0, to)}${delimiters[1]}${recipient.slice(to + 1)}`;
  return `${local}${delimiters[0]}${inside}${domain}`;
}
