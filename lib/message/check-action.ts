/**
 * What a line of header_checks or body_checks may say. Parsing only; pure.
 */
import { headerNameLength } from './header.ts';

export type CheckAction =
  | { readonly kind: 'reject'; readonly reason: string; readonly temporary: boolean }
  | { readonly kind: 'filter' | 'redirect' | 'bcc' | 'prepend' | 'replace'; readonly text: string }
  | { readonly kind: 'warning' | 'info' | 'hold' | 'discard' | 'strip'; readonly text: string }
  | { readonly kind: 'ignore' | 'dunno' }
  /** The table says something that is no action: logged, and nothing else. */
  | { readonly kind: 'invalid'; readonly warning: string };

const DEFAULT_REJECT = '5.7.1 message content rejected';
const STARTS_WITH_STATUS = /^[245]\.\d{1,3}\.\d{1,3}(?=\s|$)/;

/**
 * @param part `header` when the text must be a header to stand in for the line
 * @param map names the table's parameter in warnings
 */
export function parseAction(value: string, part: 'header' | 'body', map: string): CheckAction {
  const [, word = '', text = ''] = /^\s*(\S*)\s*(.*)$/s.exec(value) ?? [];
  const invalid = (warning: string): CheckAction => ({ kind: 'invalid', warning });
  switch (word.toUpperCase()) {
    case 'REJECT':
      return rejection(text);
    case 'WARN':
      return { kind: 'warning', text };
    case 'INFO':
      return { kind: 'info', text };
    case 'HOLD':
      return { kind: 'hold', text };
    case 'DISCARD':
      return { kind: 'discard', text };
    case 'STRIP':
      return { kind: 'strip', text };
    case 'IGNORE':
      return { kind: 'ignore' };
    case 'DUNNO':
    case 'OK':
      return { kind: 'dunno' };
    case 'FILTER':
      if (text === '') return invalid(`missing FILTER command argument in ${map} map`);
      if (text.includes(':')) return { kind: 'filter', text };
      return invalid(`bad FILTER command ${text} in ${map} -- need transport:destination`);
    case 'REDIRECT':
      if (text.includes('@')) return { kind: 'redirect', text };
      return invalid(`bad REDIRECT target "${text}" in ${map} map -- need user@domain`);
    case 'BCC':
      if (text.includes('@')) return { kind: 'bcc', text };
      return invalid(`bad BCC address "${text}" in ${map} map -- need user@domain`);
    case 'PREPEND':
    case 'REPLACE': {
      const action = word.toUpperCase();
      if (text === '') return invalid(`${action} action without text in ${map} map`);
      if (part === 'header' && headerNameLength(text) === 0) {
        const need = '-- need "headername: headervalue"';
        return invalid(`bad ${action} header text "${text}" in ${map} map ${need}`);
      }
      return { kind: action === 'PREPEND' ? 'prepend' : 'replace', text };
    }
    default:
      return invalid(`unknown command in ${map} map: ${value}`);
  }
}

function rejection(text: string): CheckAction {
  if (text === '') return { kind: 'reject', reason: DEFAULT_REJECT, temporary: false };
  const reason = STARTS_WITH_STATUS.test(text) ? text : `5.7.1 ${text}`;
  // A status of success can't reject: Postfix makes it temporary.
  const usable = reason.startsWith('2') ? `4${reason.slice(1)}` : reason;
  return { kind: 'reject', reason: usable, temporary: usable.startsWith('4') };
}
