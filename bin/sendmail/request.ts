/**
 * The command line of sendmail(1), read as Postfix reads it. Pure: what it finds odd it returns.
 */
import { addressTokens, internalText, parse } from '../../lib/address/token.ts';
import { NOTIFY, RET } from '../../lib/dsn/notify.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { parseOptions } from '../options/options.ts';

/** What sendmail is to do. */
export type Mode =
  | 'deliver'
  | 'mailq'
  | 'flush'
  | 'daemon'
  | 'newaliases'
  | 'stand-alone'
  | 'flush-site'
  | 'flush-message'
  /** Asked for something that only another sendmail has. */
  | 'nothing';

export interface Request {
  readonly mode: Mode;
  /** -C: the configuration directory. */
  readonly directory: string | undefined;
  /** Of -qR or -qI. */
  readonly what: string;
  /** -oA: instead of alias_database. */
  readonly aliasFile: string | undefined;
  readonly recipients: readonly string[];
  /** -f, internal form; undefined: the user. */
  readonly sender: string | undefined;
  readonly fullName: string | undefined;
  /** -t */
  readonly extractRecipients: boolean;
  /** A line with only a dot ends the input. */
  readonly dotEnds: boolean;
  readonly context: 'local' | 'remote';
  readonly encoding: '7bit' | '8bit' | undefined;
  readonly envelopeId: string | undefined;
  readonly notify: number;
  readonly returns: number;
  /** Two characters; '' for verp_delimiters' own default. */
  readonly verp: string | undefined;
  /** TRACE bits. */
  readonly trace: number;
  readonly verbose: number;
  readonly warnings: readonly string[];
}

export const TRACE = { verify: 512, record: 1024 } as const;

const SYNTAX = {
  flags: 'A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx',
  usage: 'sendmail [options]',
};

const ENVELOPE_ID_MAX = 100;

const NOTIFY_WORDS: ReadonlyMap<string, number> = new Map(Object.entries(NOTIFY));
const RETURN_WORDS: ReadonlyMap<string, number> = new Map([
  ['full', RET.full],
  ['hdrs', RET.headers],
]);
const ENCODINGS: ReadonlyMap<string, '7bit' | '8bit'> = new Map([
  ['8BITMIME', '8bit' as const],
  ['7BIT', '7bit' as const],
]);
const MODES: ReadonlyMap<string, Mode> = new Map<string, Mode>([
  ['d', 'daemon'],
  ['l', 'daemon'],
  ['i', 'newaliases'],
  ['m', 'deliver'],
  ['p', 'mailq'],
  ['s', 'stand-alone'],
  ['h', 'nothing'],
  ['H', 'nothing'],
]);

/** How the modes that take no operands call themselves. */
const NO_RECIPIENT: Readonly<Partial<Record<Mode, string>>> = {
  mailq: 'display queue mode',
  flush: 'flush queue mode',
  daemon: 'daemon mode',
  newaliases: 'alias initialization mode',
  'stand-alone': 'stand-alone mode',
  'flush-site': 'flush site',
  'flush-message': 'flush queue_id',
};

/**
 * @param name how the program was called: `mailq` and `newaliases` are modes
 * @throws {FatalError} with Postfix's text
 */
export function parseRequest(name: string, argv: readonly string[]): Request {
  const { given, operands } = parseOptions(withoutOddities(argv), SYNTAX);
  const reading = new Reading(name);
  for (const [flag, value] of given) reading.option(flag, value);
  return reading.finish(operands);
}

/** Options that getopt(3) can't read: a lone `-q`, and -V as older versions had it. */
function withoutOddities(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (const [index, word] of argv.entries()) {
    if (word === '--' || !word.startsWith('-')) return [...words, ...argv.slice(index)];
    words.push(word === '-q' ? '-qF' : word);
    if (takesNext(word))
      return [
        ...words,
        ...argv.slice(index + 1, index + 2),
        ...withoutOddities(argv.slice(index + 2)),
      ];
  }
  return words;
}

/** Whether the last letter of an option word wants the next word as its value. */
function takesNext(word: string): boolean {
  for (let at = 1; at < word.length; at += 1) {
    const known = SYNTAX.flags.indexOf(word.charAt(at));
    if (known < 0) return false;
    if (SYNTAX.flags.charAt(known + 1) === ':') return at === word.length - 1 && word !== '-q';
  }
  return false;
}

class Reading {
  readonly #warnings: string[] = [];
  #mode: Mode;
  #directory: string | undefined;
  #site: string | undefined;
  #message: string | undefined;
  #aliasFile: string | undefined;
  #sender: string | undefined;
  #fullName: string | undefined;
  #extract = false;
  #dotEnds = true;
  #context: 'local' | 'remote' = 'local';
  #encoding: '7bit' | '8bit' | undefined;
  #envelopeId: string | undefined;
  #notify = 0;
  #returns = 0;
  #verp: string | undefined;
  #verify = false;
  #verbose = 0;

  constructor(name: string) {
    this.#mode = name === 'mailq' ? 'mailq' : name === 'newaliases' ? 'newaliases' : 'deliver';
  }

  option(flag: string, value: string): void {
    switch (flag) {
      case 'B':
        this.#encoding = ENCODINGS.get(value);
        if (this.#encoding === undefined) fail('-B option needs 8BITMIME or 7BIT');
        return;
      case 'C':
        this.#directory = value.endsWith('/main.cf') ? value.slice(0, -'/main.cf'.length) : value;
        return;
      case 'F':
        this.#fullName = value;
        return;
      case 'G':
        this.#context = 'remote';
        return;
      case 'I':
        this.#mode = 'newaliases';
        return;
      case 'N':
        this.#notify = this.#notifyOf(value);
        return;
      case 'R':
        this.#returns = RETURN_WORDS.get(value.toLowerCase()) ?? 0;
        if (this.#returns === 0) this.#warnings.push('bad -R option value -- ignored');
        return;
      case 'V':
        this.#takeEnvelopeId(value);
        return;
      case 'X':
        if (!value.startsWith('V')) fail(`unsupported: -X${value.charAt(0)}`);
        this.#verp = value.slice(1);
        return;
      case 'b':
        this.#takeMode(value);
        return;
      case 'f':
      case 'r':
        this.#sender = this.#senderOf(value);
        return;
      case 'i':
        this.#dotEnds = false;
        return;
      case 'o':
        this.#takeSetting(value);
        return;
      case 'q':
        this.#takeQueue(value);
        return;
      case 't':
        this.#extract = true;
        return;
      case 'v':
        this.#verbose += 1;
        return;
      default:
      // The others once meant something to another sendmail.
    }
  }

  finish(operands: readonly string[]): Request {
    const delivers = this.#mode === 'deliver';
    if (this.#extract && !delivers) fail('-t can be used only in delivery mode');
    if (this.#site !== undefined && !delivers) fail('-qR can be used only in delivery mode');
    if (this.#message !== undefined && !delivers) fail('-qI can be used only in delivery mode');
    if (this.#verify) this.#checkVerify();
    const mode =
      this.#site !== undefined
        ? 'flush-site'
        : this.#message !== undefined
          ? 'flush-message'
          : this.#mode;
    const what = NO_RECIPIENT[mode];
    if (what !== undefined && operands.length > 0) fail(`${what} requires no recipient`);
    // Once -v asks for a report of the delivery, from then on for words in the log.
    const records = mode === 'deliver' && this.#verbose > 0;
    return {
      mode,
      directory: this.#directory,
      what: this.#site ?? this.#message ?? '',
      aliasFile: this.#aliasFile,
      recipients: operands,
      sender: this.#sender,
      fullName: this.#fullName,
      extractRecipients: this.#extract,
      dotEnds: this.#dotEnds,
      context: this.#context,
      encoding: this.#encoding,
      envelopeId: this.#envelopeId,
      notify: this.#notify,
      returns: this.#returns,
      verp: this.#verp,
      trace: (this.#verify ? TRACE.verify : 0) | (records ? TRACE.record : 0),
      verbose: Math.max(0, this.#verbose - 1),
      warnings: this.#warnings,
    };
  }

  #checkVerify(): void {
    const other = this.#extract
      ? '-t'
      : this.#notify !== 0
        ? '-N'
        : this.#returns !== 0
          ? '-R'
          : this.#verbose === 1
            ? '-v'
            : undefined;
    if (other !== undefined) fail(`${other} option cannot be used with -bv`);
  }

  #takeMode(value: string): void {
    const letter = value.charAt(0);
    if (letter === 'v') this.#verify = true;
    else this.#mode = MODES.get(letter) ?? fail(`unsupported: -b${letter}`);
  }

  #takeSetting(value: string): void {
    if (value.startsWith('i')) this.#dotEnds = false;
    else if (value.startsWith('A')) {
      if (value === 'A') fail('-oA requires pathname');
      this.#aliasFile = value.slice(1);
    }
  }

  #takeQueue(value: string): void {
    // A time between queue runs: that is qmgr's business.
    if (/^\d/.test(value)) {
      if (this.#mode !== 'daemon') this.#mode = 'nothing';
      return;
    }
    const what = value.slice(1);
    switch (value.charAt(0)) {
      case 'F':
        if (what !== '') fail('-qF is not implemented');
        this.#mode = 'flush';
        return;
      case 'R':
        this.#site = what === '' ? fail('specify: -qRsitename') : what;
        return;
      case 'I':
        this.#message = what === '' ? fail('specify: -qIqueueid') : what;
        return;
      default:
        fail(`-q${value.charAt(0)} is not implemented`);
    }
  }

  #takeEnvelopeId(value: string): void {
    if (value.length > ENVELOPE_ID_MAX) this.#warnings.push('too long -V option value -- ignored');
    else if (!/^[\x20-\x7e]*$/.test(value)) {
      this.#warnings.push('bad syntax in -V option value -- ignored');
    } else this.#envelopeId = value;
  }

  #notifyOf(value: string): number {
    let bits = 0;
    for (const word of value.split(',')) {
      const bit = NOTIFY_WORDS.get(word.trim().toLowerCase());
      if (bit === undefined) {
        this.#warnings.push(`unknown DSN NOTIFY command value "${word}" in "${value}"`);
        bits = 0;
        break;
      }
      bits |= bit;
    }
    // NEVER stands alone (RFC 3461 4.1).
    const bad = bits === 0 || (bits !== NOTIFY.never && (bits & NOTIFY.never) !== 0);
    if (bad) this.#warnings.push('bad -N option value -- ignored');
    return bad ? 0 : bits;
  }

  #senderOf(value: string): string {
    const addresses = addressTokens(parse(value));
    if (addresses.length > 1) {
      this.#warnings.push(`-f option specified malformed sender: ${value}`);
    }
    return internalText(addresses[0]?.head);
  }
}

function fail(text: string): never {
  throw new FatalError(text);
}
