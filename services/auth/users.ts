/** All users that auth(8) knows, whatever source they are from. */
import type { Accounts, Secret } from '../../lib/sasl/accounts.ts';
import { CRAM_MD5, LOGIN, type Mechanism, PLAIN, SCRAM_SHA_256 } from '../../lib/sasl/mechanism.ts';
import type { Account, Source } from './source.ts';

export class Users implements Accounts {
  readonly #sources: readonly Source[];

  constructor(sources: readonly Source[]) {
    this.#sources = sources;
  }

  async verify(user: string, password: string, clientAddress = 'unknown'): Promise<boolean> {
    const account = await this.#find(user);
    if (account !== undefined) return account.check(password, clientAddress);
    await this.#sources[0]?.imitate(password);
    return false;
  }

  async secretOf(user: string): Promise<Secret | undefined> {
    return (await this.#find(user))?.secret;
  }

  /** Mechanisms that all users can use; a client takes the strongest that it is offered. */
  mechanisms(): readonly Mechanism[] {
    const known = this.#sources.map((source) => source.knowledge());
    if (known.includes('hashes')) return [PLAIN, LOGIN];
    const exact = known.includes('keys') ? [SCRAM_SHA_256] : [SCRAM_SHA_256, CRAM_MD5];
    return [...exact, PLAIN, LOGIN];
  }

  /** The first source that has a user decides. */
  async #find(user: string): Promise<Account | undefined> {
    for (const source of this.#sources) {
      const account = await source.find(user);
      if (account !== undefined) return account;
    }
    return undefined;
  }
}
