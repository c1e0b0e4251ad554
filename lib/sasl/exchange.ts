/** How smtpd has a client's password checked, whoever does it. RFC 4422, RFC 4954. */
import type { Mechanism } from './mechanism.ts';

/** Who checks passwords: Dovecot, saslauthd, or our own auth(8). */
export interface SaslBackEnd {
  /** What it can do now. @throws {SaslTrouble} when it can't be asked */
  mechanisms(): Promise<readonly Mechanism[]>;
  /** Begins with a client that wants to log in. Nothing is asked before `next`. */
  begin(request: SaslRequest): SaslExchange;
  /** What a client is told whose command is at fault, before anybody is asked. */
  explain(fault: Fault, mechanism: string): string;
  close(): void;
}

/** There is no such mechanism; what came with AUTH, or later, is no base64. */
export type Fault = 'mechanism' | 'initial' | 'continued';

/** What a back end is told of a client that wants to log in. */
export interface SaslRequest {
  /** In capitals. */
  readonly mechanism: string;
  /** `smtp`. */
  readonly service: string;
  readonly serverAddress: string;
  readonly clientAddress: string;
  /** Nobody else can read what is said. */
  readonly isEncrypted: boolean;
}

/** One client's way through a mechanism. */
export interface SaslExchange {
  /**
   * Takes what the client says: valid base64; at first what came with AUTH, which may be `=`.
   *
   * @param response `undefined` when nothing came with AUTH
   */
  next(response: string | undefined): Promise<SaslStep>;
  /** The client has given up, or gone. */
  cancel(): void;
}

/** What a back end makes of what the client has said so far. */
export type SaslStep =
  /** Its next question, in base64. */
  | { readonly kind: 'challenge'; readonly base64: string }
  | { readonly kind: 'done'; readonly username: string }
  /** The client is not who it says. '' when there is no reason to give. */
  | { readonly kind: 'refused'; readonly reason: string; readonly username?: string }
  /** Nobody can tell now. */
  | { readonly kind: 'trouble'; readonly reason: string; readonly username?: string };

/** A back end can't be asked. */
export class SaslTrouble extends Error {
  override readonly name = 'SaslTrouble';
}

/** RFC 4954 4: there is an initial response, of no bytes. */
export const EMPTY_RESPONSE = '=';

/** RFC 4648, and nothing else: no blanks, and all of the padding. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
