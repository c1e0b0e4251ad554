import { readFileSync, statSync } from 'node:fs';
import type { Log } from '../../lib/log/log.ts';
import { describeTrouble } from '../../lib/net/trouble.ts';
import { SaslTrouble } from '../../lib/sasl/exchange.ts';
import { parsePasswordFile } from './password-file.ts';
import type { Account, Source } from './source.ts';

/** More users than that belong into a database. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
const READABLE_BY_OTHERS = 0o044;

/** A password file: it is read again when it has changed. */
export class FileSource implements Source {
  readonly #path: string;
  readonly #log: Log;
  #accounts: ReadonlyMap<string, Account> = new Map();
  #version = '';

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  async find(user: string): Promise<Account | undefined> {
    this.#refresh();
    return this.#accounts.get(user);
  }

  async imitate(password: string): Promise<unknown> {
    this.#refresh();
    const [anybody] = this.#accounts.values();
    return anybody?.check(password, 'unknown');
  }

  knowledge(): ReturnType<Source['knowledge']> {
    this.#refresh();
    const kinds = new Set([...this.#accounts.values()].map(({ secret }) => secret?.kind));
    if (kinds.has(undefined)) return 'hashes';
    return kinds.has('scram') ? 'keys' : 'passwords';
  }

  #refresh(): void {
    const path = this.#path;
    try {
      const found = statSync(path);
      const { mtimeMs, size, ino, mode } = found;
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version === this.#version) return;
      if (!found.isFile()) throw new Error('not a regular file');
      if (size > FILE_BYTES_MAX) throw new Error(`${size} bytes are more than ${FILE_BYTES_MAX}`);
      if ((mode & READABLE_BY_OTHERS) !== 0) {
        this.#log.warn(`${path}: others can read the passwords: chmod 600 ${path}`);
      }
      const { accounts, warnings } = parsePasswordFile(readFileSync(path, 'utf8'), path);
      for (const warning of warnings) this.#log.warn(warning);
      this.#accounts = accounts;
      this.#version = version;
    } catch (error) {
      const why = describeTrouble(error);
      this.#log.warn(`cannot read the password file ${path}: ${why}`);
      throw new SaslTrouble('password file unavailable', { cause: error });
    }
  }
}
