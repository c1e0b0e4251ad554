/** The command line of `postfix explain`. */
import { isIP } from 'node:net';
import type { Question } from '../../services/smtpd/what-if.ts';
import { type LongOptions, parseLongOptions, UsageError } from '../options/options.ts';

export const EXPLAIN_USAGE =
  'postfix [-c config_dir] explain --client IP [--name N] [--helo H] --from S --to R ... ' +
  '[--sasl U] [--tls] [--service S] [--dns] [--policy]';

const OPTIONS = {
  client: 'value',
  name: 'value',
  helo: 'value',
  from: 'value',
  to: 'value',
  sasl: 'value',
  tls: 'flag',
  service: 'value',
  dns: 'flag',
  policy: 'flag',
} as const;

export interface ExplainRequest {
  readonly question: Question;
  /** The line of master.cf: its first field. */
  readonly service: string | undefined;
  /** `--helo` was not there. */
  readonly isHeloAssumed: boolean;
}

/** @throws {UsageError} */
export function parseExplainRequest(argv: readonly string[]): ExplainRequest {
  const given = parseLongOptions(argv, OPTIONS, EXPLAIN_USAGE);
  const one = (name: keyof typeof OPTIONS) => given.get(name)?.at(-1);
  const address = required(given, 'client');
  if (isIP(address) === 0) {
    throw new UsageError(`--client ${address}: not an IP address`, EXPLAIN_USAGE);
  }
  const name = one('name');
  const assumed =
    name !== undefined && name !== 'unknown'
      ? name
      : `[${address.includes(':') ? 'IPv6:' : ''}${address}]`;
  required(given, 'to');
  return {
    question: {
      address,
      name,
      helo: one('helo') ?? assumed,
      sender: withoutBrackets(required(given, 'from')),
      recipients: (given.get('to') ?? []).map(withoutBrackets),
      login: one('sasl'),
      hasTls: given.has('tls'),
      asksDns: given.has('dns'),
      asksPolicies: given.has('policy'),
    },
    service: one('service'),
    isHeloAssumed: one('helo') === undefined,
  };
}

function required(given: LongOptions<keyof typeof OPTIONS>, name: keyof typeof OPTIONS): string {
  const value = given.get(name)?.at(-1);
  if (value === undefined) throw new UsageError(`option --${name} is missing`, EXPLAIN_USAGE);
  return value;
}

function withoutBrackets(address: string): string {
  return /^<(.*)>$/s.exec(address)?.[1] ?? address;
}
