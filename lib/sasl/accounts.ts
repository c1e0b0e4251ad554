/** Where passwords are known, or can be checked. */
export interface Accounts {
  /**
   * Whether this is the user's password. It takes as long for users that there are not.
   *
   * @param clientAddress who says so
   * @throws {SaslTrouble} when nobody can tell now
   */
  verify(user: string, password: string, clientAddress?: string): Promise<boolean>;
  /**
   * What mechanisms need that never see the password; `undefined` when there is no such user, or it
   * is not known. Accounts that only have hashes lack this.
   *
   * @throws {SaslTrouble} when nobody can tell now
   */
  secretOf?(user: string): Promise<Secret | undefined>;
}

/** A password, or what SCRAM-SHA-256 makes of one. */
export type Secret =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'scram'; readonly keys: ScramKeys };

/** RFC 5802 3: what a server may know of a password. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}
