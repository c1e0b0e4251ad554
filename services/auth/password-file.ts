/**
 * A file of users: `name:{SCHEME}password`, a line each. What Dovecot's passwd-file, htpasswd(1) and
 * `doveadm pw` write can be used as it is. Pure but for the hashing.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ScramKeys } from '../../lib/sasl/accounts.ts';
import { ITERATIONS_MAX, isPasswordOf } from '../../lib/sasl/scram.ts';
import type { Account } from './source.ts';
import { accountOf } from './system-source.ts';

export interface PasswordFile {
  readonly accounts: ReadonlyMap<string, Account>;
  /** What is wrong in it: these lines count for nothing. */
  readonly warnings: readonly string[];
}

/** Names of Dovecot's for what crypt(3) tells by itself. */
const CRYPT = /^(?:CRYPT|(?:SHA512|SHA256|MD5|BLF|YES)-CRYPT|YESCRYPT)$/;
const KEY_BYTES = 32;

export function parsePasswordFile(text: string, file: string): PasswordFile {
  const accounts = new Map<string, Account>();
  const warnings: string[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const [name = '', password = ''] = splitLine(line.replace(/\r$/, ''));
    const account = name === '' || password === '' ? undefined : parsePassword(password);
    if (account !== undefined) accounts.set(name, account);
    else {
      const forms = '{PLAIN}..., {SCRAM-SHA-256}..., or a hash of crypt(3)';
      warnings.push(`${file}, line ${at + 1}: specify name:password, and the password as ${forms}`);
    }
  }
  return { accounts, warnings };
}

/** A password in clear text may have colons, and has no further fields behind it. */
function splitLine(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  const rest = line.slice(colon + 1);
  const isPlain = /^\{(?:PLAIN|CLEARTEXT)\}/i.test(rest);
  return [line.slice(0, colon), isPlain ? rest : (rest.split(':')[0] ?? '')];
}

/** @returns `undefined` for a form that there is not */
function parsePassword(text: string): Account | undefined {
  const [, scheme = 'CRYPT', value = text] = /^\{([\w.-]+)\}(.*)$/s.exec(text) ?? [];
  const name = scheme.toUpperCase();
  if (name === 'PLAIN' || name === 'CLEARTEXT') return plainAccount(value);
  if (name === 'SCRAM-SHA-256') return scramAccount(value);
  return CRYPT.test(name) && value !== '' ? accountOf(value) : undefined;
}

function plainAccount(password: string): Account {
  return {
    check: async (given) => timingSafeEqual(digest(given), digest(password)),
    secret: { kind: 'password', password },
  };
}

/** `4096,SALT,STORED-KEY,SERVER-KEY`. */
function scramAccount(text: string): Account | undefined {
  const [count = '', salt = '', stored = '', server = ''] = text.split(',');
  const iterations = Number(count);
  const keys: ScramKeys = {
    iterations,
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(stored, 'base64'),
    serverKey: Buffer.from(server, 'base64'),
  };
  const isWhole = keys.storedKey.length === KEY_BYTES && keys.serverKey.length === KEY_BYTES;
  const isUsable = Number.isInteger(iterations) && iterations > 0 && iterations <= ITERATIONS_MAX;
  if (!isWhole || !isUsable || keys.salt.length === 0) return undefined;
  return { check: (given) => isPasswordOf(keys, given), secret: { kind: 'scram', keys } };
}

/** Of the same length, whatever it is of. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
