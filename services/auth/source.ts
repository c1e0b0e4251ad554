/** Where auth(8) finds users. */
import type { Secret } from '../../lib/sasl/accounts.ts';

/** One user, as a source knows them. */
export interface Account {
  /**
   * @param clientAddress who says so
   * @throws {SaslTrouble} when nobody can tell now
   */
  check(password: string, clientAddress: string): Promise<boolean>;
  /** What mechanisms need that never see the password. */
  readonly secret?: Secret;
}

export interface Source {
  /** @throws {SaslTrouble} when nobody can tell now */
  find(user: string): Promise<Account | undefined>;
  /** Takes as long as to check a password of a user that there is, and says nothing. */
  imitate(password: string): Promise<unknown>;
  /** What it knows of each of its users: a password, SCRAM's keys, or only a hash. */
  knowledge(): 'passwords' | 'keys' | 'hashes';
}
