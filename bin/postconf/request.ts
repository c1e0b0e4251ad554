/** What postconf was asked for. */
import { type OptionSyntax, type ParsedOptions, parseOptions } from '../options/options.ts';

export const SYNTAX: OptionSyntax = {
  flags: 'aAbc:C:defFhHlmMno:pPtT:vxX#',
  usage:
    'postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] ' +
    '[-c config_dir] [-c param_class] [-d (parameter defaults)] [-e (edit configuration)] ' +
    '[-f (fold lines)] [-F (master.cf fields)] [-h (no names)] [-H (no values)] ' +
    '[-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] ' +
    '[-o name=value (override parameter value)] [-p (main.cf, default)] ' +
    '[-P (master.cf parameters)] [-t (bounce templates)] ' +
    '[-T compile-version|run-version|public-key-algorithms] [-v (verbose)] ' +
    '[-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]',
};

/** One of these is meant; `p` when none is given. */
const MODES = ['a', 'A', 'b', 'F', 'l', 'm', 'M', 'p', 'P', 't', 'T'] as const;
export type Mode = (typeof MODES)[number];

export type Action = 'show' | 'set' | 'remove' | 'comment';

export interface Request {
  readonly mode: Mode;
  readonly action: Action;
  readonly options: ParsedOptions;
  readonly operands: readonly string[];
}

const DETAILS = [...'defhHnoxX#'];
const EDITS = ['e', 'X', '#'];
const DISPLAY = ['f', 'h', 'H', 'n', 'o', 'x'];

/** Pairs that contradict each other. */
const EXCLUSIVE: readonly (readonly [string, string])[] = [
  ...MODES.flatMap((mode, at) => MODES.slice(at + 1).map((other) => [mode, other] as const)),
  ...['e', 'n', 'o', 'X', '#'].map((other) => ['d', other] as const),
  ...EDITS.flatMap((edit) => DISPLAY.map((other) => [other, edit] as const)),
  ['e', 'X'],
  ['e', '#'],
  ['X', '#'],
  ['h', 'H'],
];

/** What a mode has no use for. */
const USELESS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries([...'aAblmtT'].map((mode) => [mode, DETAILS])),
  F: ['d', 'n', 'X', '#'],
  M: ['d', 'n', 'h', 'H'],
  P: ['d', 'n', '#'],
};

/** @throws {Error} with Postfix's text when the options contradict each other */
export function parseRequest(argv: readonly string[]): Request {
  const options = parseOptions(argv, SYNTAX);
  for (const [one, other] of EXCLUSIVE) {
    if (options.has(one) && options.has(other)) {
      const [first, second] = alphabetical(one, other);
      throw new Error(`specify one of -${first} -${second}`);
    }
  }
  if (options.values('T').length > 1) {
    throw new Error('At most one -T <mode> option may be specified');
  }
  const mode = MODES.find((flag) => options.has(flag)) ?? 'p';
  const useless = USELESS[mode]?.find((flag) => options.has(flag));
  if (useless !== undefined) throw new Error(`with option -${mode}, do not specify -${useless}`);
  const { operands } = options;
  const action = actionOf(options, operands);
  if ((action === 'remove' || action === 'comment') && mode === 'p') {
    if (operands.some((operand) => operand.includes('='))) {
      throw new Error('-X or -# requires parameter names without value');
    }
  }
  return { mode, action, options, operands };
}

/** The first operand says whether something is set. */
function actionOf(options: ParsedOptions, operands: readonly string[]): Action {
  const assigns = operands[0]?.includes('=') === true;
  if (options.has('X') || options.has('#')) {
    const flag = options.has('X') ? 'X' : '#';
    if (assigns) throw new Error(`specify one of -e -${flag}`);
    if (operands.length === 0) throw new Error('missing service argument');
    return flag === 'X' ? 'remove' : 'comment';
  }
  if (!options.has('e') && !assigns) return 'show';
  if (operands.length === 0) throw new Error('-e requires name=value argument');
  return 'set';
}

/** As Postfix lists its options: `-d -e`, `-h -H`, `-x -X`, `-X -#`. */
function alphabetical(one: string, other: string): [string, string] {
  const order = 'aAbBcCdDeEfFhHlLmMnNoOpPtTxX#';
  return order.indexOf(one) < order.indexOf(other) ? [one, other] : [other, one];
}
