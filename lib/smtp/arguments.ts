/**
 * The parameters that may follow the address in MAIL FROM and RCPT TO, and the exact replies to
 * those that are wrong. Pure: text in, value or reply out. RFC 1870, 3461, 4954, 6152, 6531.
 */
import { NOTIFY, RET } from '../dsn/notify.ts';
import { decodeXtext } from '../dsn/xtext.ts';

/** What is wrong with a parameter: the whole reply. */
export interface Refusal {
  readonly refusal: string;
  /** What the log says of it. */
  readonly warning?: string;
}

export const REFUSALS = {
  sizeSyntax: '501 5.5.4 Bad message size syntax',
  sizeTooBig: '552 5.3.4 Message size exceeds file system imposed limit',
  secondAuth: '503 5.5.4 Error: multiple AUTH= options',
  dsnDisabled: '501 5.7.1 DSN support is disabled',
  ret: '501 5.5.4 Bad RET parameter syntax',
  envid: '501 5.5.4 Bad ENVID parameter syntax',
  notify: '501 5.5.4 Error: Bad NOTIFY parameter syntax',
  orcpt: '501 5.5.4 Error: Bad ORCPT parameter syntax',
  verp: (delimiters: string) => `501 5.5.4 Error: XVERP needs two characters from ${delimiters}`,
  unsupported: (parameter: string) => `555 5.5.4 Unsupported option: ${parameter}`,
} as const;

/** What the session's configuration allows. */
export interface ParameterRules {
  readonly dsn: boolean;
  readonly smtputf8?: boolean;
  /** `verp_delimiter_filter`, when this client may use XVERP. */
  readonly verpDelimiters?: string;
}

export interface MailParameters {
  /** Declared size in bytes; `undefined` when not declared. */
  readonly size?: number;
  /** `7BIT`, `8BITMIME`, or ''. */
  readonly body: string;
  readonly smtputf8: boolean;
  /** AUTH=, as it was given: xtext. */
  readonly auth?: string;
  /** XVERP: its delimiters; '' for the default ones. */
  readonly verp?: string;
  /** RET bits; 0 when not given. */
  readonly ret: number;
  readonly envid: string;
}

export interface RcptParameters {
  /** NOTIFY bits; 0 when not given. */
  readonly notify: number;
  /** `rfc822;bob@example.com`, decoded; '' when not given. */
  readonly orcpt: string;
}

/** Digits of the largest number of bytes a file may have. */
const SIZE_MAX = 2n ** 63n - 1n;
const PRINTABLE = /^[\x20-\x7e]*$/;

/** MAIL FROM's parameters, in the order the client gave them: the first wrong one is answered. */
export function parseMailParameters(
  words: readonly string[],
  rules: ParameterRules,
): MailParameters | Refusal {
  let parameters: MailParameters = { body: '', smtputf8: false, ret: 0, envid: '' };
  for (const word of words) {
    const change = mailParameter(word, parameters, rules);
    if ('refusal' in change) return change;
    parameters = { ...parameters, ...change };
  }
  return parameters;
}

function mailParameter(
  word: string,
  sofar: MailParameters,
  rules: ParameterRules,
): Partial<MailParameters> | Refusal {
  const { name, value } = splitParameter(word);
  if (name === 'BODY' && /^(7BIT|8BITMIME)$/i.test(value ?? '')) {
    return { body: (value ?? '').toUpperCase() };
  }
  if (name === 'SIZE' && value !== undefined) return sizeParameter(value);
  if (name === 'SMTPUTF8' && value === undefined && rules.smtputf8) return { smtputf8: true };
  if (name === 'AUTH' && value !== undefined) {
    if (sofar.auth !== undefined) return { refusal: REFUSALS.secondAuth };
    return { auth: value };
  }
  if (name === 'XVERP' && rules.verpDelimiters !== undefined) {
    return verpParameter(value, rules.verpDelimiters);
  }
  if (name === 'RET' && value !== undefined) {
    if (!rules.dsn) return { refusal: REFUSALS.dsnDisabled };
    const ret = { FULL: RET.full, HDRS: RET.headers }[value.toUpperCase()];
    return ret === undefined || sofar.ret !== 0 ? { refusal: REFUSALS.ret } : { ret };
  }
  if (name === 'ENVID' && value !== undefined) {
    if (!rules.dsn) return { refusal: REFUSALS.dsnDisabled };
    const envid = decodeXtext(value) ?? '';
    const wrong = envid === '' || !PRINTABLE.test(envid) || sofar.envid !== '';
    return wrong ? { refusal: REFUSALS.envid } : { envid };
  }
  return { refusal: REFUSALS.unsupported(word) };
}

function sizeParameter(value: string): Partial<MailParameters> | Refusal {
  if (!/^\d+$/.test(value)) return { refusal: REFUSALS.sizeSyntax };
  const digits = value.replace(/^0+(?=\d)/, '');
  if (digits.length > 19 || BigInt(digits) > SIZE_MAX) return { refusal: REFUSALS.sizeTooBig };
  return { size: Number(digits) };
}

function verpParameter(
  value: string | undefined,
  delimiters: string,
): Partial<MailParameters> | Refusal {
  if (value === undefined) return { verp: '' };
  const fits = value.length === 2 && [...value].every((char) => delimiters.includes(char));
  return fits ? { verp: value } : { refusal: REFUSALS.verp(delimiters) };
}

/** RCPT TO's parameters. */
export function parseRcptParameters(
  words: readonly string[],
  rules: ParameterRules,
): RcptParameters | Refusal {
  let notify = 0;
  let orcpt = '';
  for (const word of words) {
    const { name, value } = splitParameter(word);
    if (value === undefined || (name !== 'NOTIFY' && name !== 'ORCPT')) {
      return { refusal: REFUSALS.unsupported(word) };
    }
    if (!rules.dsn) return { refusal: REFUSALS.dsnDisabled };
    if (name === 'NOTIFY') {
      const bits = notify === 0 ? parseNotify(value) : undefined;
      if (bits === undefined) return { refusal: REFUSALS.notify, ...warningOf(value) };
      notify = bits;
    } else {
      const original = orcpt === '' ? parseOriginalRecipient(value) : undefined;
      if (original === undefined) return { refusal: REFUSALS.orcpt };
      orcpt = original;
    }
  }
  return { notify, orcpt };
}

const NOTIFY_WORDS: Readonly<Record<string, number>> = {
  NEVER: NOTIFY.never,
  SUCCESS: NOTIFY.success,
  FAILURE: NOTIFY.failure,
  DELAY: NOTIFY.delay,
};

/** NOTIFY's bits: NEVER alone, or any of the others; `undefined` when wrong. */
export function parseNotify(value: string): number | undefined {
  let bits = 0;
  for (const word of value.toUpperCase().split(',')) {
    if (word === '') continue;
    const bit = NOTIFY_WORDS[word];
    if (bit === undefined) return undefined;
    bits |= bit;
  }
  const contradicts = (bits & NOTIFY.never) !== 0 && bits !== NOTIFY.never;
  return bits === 0 || contradicts ? undefined : bits;
}

function warningOf(value: string): { warning?: string } {
  const unknown = value
    .split(',')
    .find((word) => word !== '' && !Object.hasOwn(NOTIFY_WORDS, word.toUpperCase()));
  if (unknown === undefined) return {};
  return { warning: `unknown DSN NOTIFY command value "${unknown}" in "${value}"` };
}

/** NOTIFY as it is sent. */
export function formatNotify(bits: number): string {
  const words = Object.entries(NOTIFY_WORDS).filter(([, bit]) => (bits & bit) !== 0);
  return words.map(([word]) => word).join(',');
}

/** `type;xtext` as `type;text`; RFC 6533 has another encoding for type utf-8. */
export function parseOriginalRecipient(value: string): string | undefined {
  const at = value.indexOf(';');
  if (at <= 0) return undefined;
  const type = value.slice(0, at);
  const coded = value.slice(at + 1);
  const text =
    (type.toLowerCase() === 'utf-8' ? decodeUnitext(coded) : undefined) ?? decodeXtext(coded);
  // Postfix takes control characters, too; they would end up in the headers of reports.
  return text === undefined || /[\x00-\x1f\x7f]/.test(text) ? undefined : `${type};${text}`;
}

const UNITEXT =
  /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\x80-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})*$/u;

/** RFC 6533 section 3: `\x{20AC}` stands for a character, all else for itself. */
function decodeUnitext(coded: string): string | undefined {
  if (!UNITEXT.test(coded)) return undefined;
  return coded.replace(/\\x\{([0-9A-F]+)\}/g, (_whole, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

function splitParameter(word: string): { name: string; value: string | undefined } {
  const at = word.indexOf('=');
  if (at === -1) return { name: word.toUpperCase(), value: undefined };
  return { name: word.slice(0, at).toUpperCase(), value: word.slice(at + 1) };
}
