/** What milters decide about a client or its mail. Pure. */

/** `reply` is a whole SMTP reply, its lines ended by CR LF, but for the last. */
export type Verdict =
  | { readonly kind: 'hold' }
  | { readonly kind: 'discard' }
  | { readonly kind: 'shutdown' }
  | { readonly kind: 'reply'; readonly text: string };

const reply = (text: string): Verdict => ({ kind: 'reply', text });

export const HOLD: Verdict = { kind: 'hold' };
export const DISCARD: Verdict = { kind: 'discard' };
export const SHUTDOWN: Verdict = { kind: 'shutdown' };
export const REJECT: Verdict = reply('550 5.7.1 Command rejected');
export const TEMPFAIL: Verdict = reply('451 4.7.1 Service unavailable - try again later');
export const MISCONFIGURED: Verdict = reply(
  '451 4.3.5 Server configuration problem - try again later',
);
/** What a client hears when a milter wants it to be gone. */
export const SHUTDOWN_REPLY = '421 4.7.0 Server closing connection';

const UNAVAILABLE = reply('550 5.5.0 Service unavailable');
const CLOSING = reply('421 4.7.1 Service unavailable - try again later');

/** `milter_default_action`; undefined: to go on without the milter. */
export function defaultVerdict(action: string): Verdict | undefined | 'unknown' {
  switch (action.toLowerCase()) {
    case 'accept':
      return undefined;
    case 'reject':
      return UNAVAILABLE;
    case 'tempfail':
      return TEMPFAIL;
    case 'quarantine':
      return HOLD;
    case 'shutdown':
      return CLOSING;
    default:
      return 'unknown';
  }
}

/** The text that a milter wants to be said: `550 5.7.1 go away`; `%%` stands for one of them. */
export function parseReply(given: string, softBounce: boolean): Verdict | undefined {
  if (!/^[45]\d\d[ -]/.test(given) || given[4] !== given[0]) return undefined;
  const text = given.replace(/%(.?)/gs, '$1');
  return reply(softBounce ? text.split('\r\n').map(soften).join('\r\n') : text);
}

function soften(line: string): string {
  if (!line.startsWith('5')) return line;
  return `4${line.slice(1, 4)}${line[4] === '5' ? '4' : (line[4] ?? '')}${line.slice(5)}`;
}
