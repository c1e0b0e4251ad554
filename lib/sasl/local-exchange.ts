/** Mechanisms of our own at work, behind the interface that all back ends have. */
import type { Accounts } from './accounts.ts';
import type { Conversation, Judgement, Refusal } from './conversation.ts';
import { cramMd5 } from './cram-md5.ts';
import { type SaslExchange, type SaslStep, SaslTrouble } from './exchange.ts';
import { CRAM_MD5, LOGIN, type Mechanism, PLAIN, SCRAM_SHA_256 } from './mechanism.ts';
import { login, plain } from './plain.ts';
import { scramSha256 } from './scram.ts';

/** The mechanisms that accounts have what it takes for, the strongest first. */
export function mechanismsOf(accounts: Accounts): readonly Mechanism[] {
  const simple = [PLAIN, LOGIN];
  return accounts.secretOf === undefined ? simple : [SCRAM_SHA_256, CRAM_MD5, ...simple];
}

export interface LocalOptions {
  readonly accounts: Accounts;
  /** The client's, for accounts that want to know. */
  readonly clientAddress?: string;
  /** Ours, for challenges. */
  readonly hostname: string;
  /** What clients are told. */
  readonly reasons: Readonly<Record<Refusal, string>>;
  /** Told of each failure. */
  readonly onFailure?: (why: Refusal | 'trouble') => void;
}

export class LocalExchange implements SaslExchange {
  readonly #mechanism: string;
  readonly #options: LocalOptions;
  #conversation: Conversation | undefined;
  /** Whom the client claims to be, as soon as it has said so. */
  #user: string | undefined;

  /** @param mechanism one of `mechanismsOf` */
  constructor(mechanism: string, options: LocalOptions) {
    this.#mechanism = mechanism;
    this.#options = options;
  }

  async next(response: string | undefined): Promise<SaslStep> {
    const bytes = response === undefined ? undefined : Buffer.from(response, 'base64');
    try {
      if (this.#conversation !== undefined) {
        return this.#stepOf(await this.#conversation.next(bytes ?? Buffer.alloc(0)));
      }
      this.#conversation = this.#begin(bytes);
      // What is passed to the first call of a generator, nobody gets.
      return this.#stepOf(await this.#conversation.next(Buffer.alloc(0)));
    } catch (error) {
      if (!(error instanceof SaslTrouble)) throw error;
      this.#options.onFailure?.('trouble');
      return { kind: 'trouble', reason: error.message, ...named(this.#user) };
    }
  }

  cancel(): void {
    // A generator that waits for a response is forgotten like any other value.
    this.#conversation = undefined;
  }

  #begin(first: Buffer | undefined): Conversation {
    const accounts = this.#noting(this.#options.accounts);
    switch (this.#mechanism) {
      case PLAIN.name:
        return plain(accounts, first);
      case LOGIN.name:
        return login(accounts, first);
      case CRAM_MD5.name:
        return cramMd5(accounts, this.#options.hostname);
      case SCRAM_SHA_256.name:
        return scramSha256(accounts, first);
      default:
        throw new SaslTrouble(`${this.#mechanism}: no such mechanism`);
    }
  }

  #noting(accounts: Accounts): Accounts {
    const note = (user: string) => {
      this.#user = user;
      return user;
    };
    return {
      verify: (user, password) =>
        accounts.verify(note(user), password, this.#options.clientAddress),
      secretOf: async (user) => accounts.secretOf?.(note(user)),
    };
  }

  #stepOf({ done, value }: IteratorResult<Buffer, Judgement>): SaslStep {
    if (done !== true) return { kind: 'challenge', base64: value.toString('base64') };
    if (value.kind === 'done') return value;
    const { reasons, onFailure } = this.#options;
    onFailure?.(value.why);
    return { kind: 'refused', reason: reasons[value.why], ...named(value.username) };
  }
}

function named(username: string | undefined): { username?: string } {
  return username === undefined ? {} : { username };
}
