/**
 * What the Cyrus SASL library does inside of Postfix's smtpd, done anew: it reads smtpd.conf, has
 * saslauthd check passwords, or finds them in sasldb2.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Log } from '../log/log.ts';
import { describeTrouble } from '../net/trouble.ts';
import type { Accounts, Secret } from './accounts.ts';
import type { CyrusConf } from './cyrus-conf.ts';
import {
  type Fault,
  type SaslBackEnd,
  type SaslExchange,
  type SaslRequest,
  SaslTrouble,
} from './exchange.ts';
import { LocalExchange, mechanismsOf } from './local-exchange.ts';
import { type Mechanism, PLAIN } from './mechanism.ts';
import { askSaslauthd } from './saslauthd.ts';
import { parseSasldb, SasldbError } from './sasldb.ts';

export interface CyrusOptions {
  readonly conf: CyrusConf;
  readonly hostname: string;
  /** smtpd_sasl_local_domain: of users who name none; '' for the host's name. */
  readonly realm: string;
  readonly service: string;
  readonly log: Log;
}

/** The library's words. */
const REASONS = {
  credentials: 'authentication failure',
  identity: 'authentication failure',
  malformed: 'bad protocol / cancel',
};
/** What it says of PLAIN for itself, beside what it tells the client. */
const COMPLAINTS = {
  credentials: 'Password verification failed',
  trouble: 'Password verification failed',
  identity: 'Requested identity not authenticated identity',
  malformed: 'Can only find author (no password)',
};
const FILE_BYTES_MAX = 64 * 1024 * 1024;

export class CyrusBackEnd implements SaslBackEnd {
  readonly #options: CyrusOptions;
  readonly #accounts: Accounts;
  readonly #mechanisms: readonly Mechanism[];

  constructor(options: CyrusOptions) {
    const { methods, mechanisms: listed } = options.conf;
    this.#options = options;
    this.#accounts = methods.includes('auxprop')
      ? new AuxpropAccounts(options)
      : { verify: (user, password) => verify(user, password, options, undefined) };
    this.#mechanisms = mechanismsOf(this.#accounts).filter(
      ({ name }) => listed === undefined || listed.includes(name),
    );
  }

  async mechanisms(): Promise<readonly Mechanism[]> {
    return this.#mechanisms;
  }

  begin({ mechanism }: SaslRequest): SaslExchange {
    const { hostname, log, realm } = this.#options;
    const exchange = new LocalExchange(mechanism, {
      accounts: this.#accounts,
      hostname,
      reasons: REASONS,
      onFailure: (why) => {
        if (mechanism === PLAIN.name) log.warn(`SASL authentication failure: ${COMPLAINTS[why]}`);
      },
    });
    return realm === '' ? exchange : withRealm(exchange, realm);
  }

  explain(fault: Fault, mechanism: string): string {
    if (fault !== 'mechanism') return REASONS.malformed;
    this.#options.log.warn(`SASL authentication failure: Couldn't find mech ${mechanism}`);
    return 'no mechanism available';
  }

  close(): void {}
}

/** Who names no realm is known by the one that they are in. */
function withRealm(exchange: SaslExchange, realm: string): SaslExchange {
  return {
    async next(response) {
      const step = await exchange.next(response);
      if (step.kind === 'challenge' || step.username === undefined) return step;
      const { username } = step;
      return { ...step, username: username.includes('@') ? username : `${username}@${realm}` };
    },
    cancel: () => exchange.cancel(),
  };
}

/** One method after the other, until one says yes. */
async function verify(
  user: string,
  password: string,
  { conf, realm, service, log }: CyrusOptions,
  auxprop: AuxpropAccounts | undefined,
): Promise<boolean> {
  let trouble: unknown;
  for (const method of conf.methods) {
    try {
      if (method === 'auxprop' && auxprop?.matches(user, password) === true) return true;
      if (method !== 'saslauthd') continue;
      const at = user.lastIndexOf('@');
      const name = at < 0 ? user : user.slice(0, at);
      const request = { user: name, password, service, realm: at < 0 ? realm : user.slice(at + 1) };
      if (await askSaslauthd(conf.saslauthdPath, request, log)) return true;
    } catch (error) {
      if (!(error instanceof SaslTrouble)) throw error;
      trouble = error;
    }
  }
  if (trouble !== undefined) throw trouble;
  return false;
}

/** sasldb2: passwords in clear text. */
class AuxpropAccounts implements Accounts {
  readonly #options: CyrusOptions;
  #passwords: ReadonlyMap<string, string> = new Map();
  #readAt = '';

  constructor(options: CyrusOptions) {
    this.#options = options;
  }

  verify(user: string, password: string): Promise<boolean> {
    return verify(user, password, this.#options, this);
  }

  async secretOf(user: string): Promise<Secret | undefined> {
    const password = this.#passwordOf(user);
    return password === undefined ? undefined : { kind: 'password', password };
  }

  matches(user: string, password: string): boolean {
    const expected = this.#passwordOf(user);
    const isSame = timingSafeEqual(digest(password), digest(expected ?? ''));
    return isSame && expected !== undefined;
  }

  #passwordOf(user: string): string | undefined {
    this.#refresh();
    const { realm, hostname } = this.#options;
    const at = user.indexOf('@');
    const key =
      at < 0 ? `${user}\0${realm || hostname}` : `${user.slice(0, at)}\0${user.slice(at + 1)}`;
    return this.#passwords.get(key);
  }

  /** Reads the file when it is another than last time. */
  #refresh(): void {
    const { conf, log } = this.#options;
    const path = conf.sasldbPath;
    try {
      const { mtimeMs, size, ino } = statSync(path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version === this.#readAt) return;
      if (size > FILE_BYTES_MAX) throw new SasldbError(`${size} bytes are too many`);
      this.#passwords = parseSasldb(readFileSync(path));
      this.#readAt = version;
    } catch (error) {
      // Without the file there are no users, as in the library.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        this.#passwords = new Map();
        this.#readAt = '';
        return;
      }
      const why = describeTrouble(error);
      log.warn(`SASL authentication problem: unable to open Berkeley db ${path}: ${why}`);
      throw new SaslTrouble('generic failure', { cause: error });
    }
  }
}

/** Of the same length, whatever it is of. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
