/**
 * Keys of session tickets, as they follow one another. Each seals new tickets for half of a session's
 * life, and for the other half only opens those that it has sealed. Pure but for chance.
 */
import { randomBytes } from 'node:crypto';
import type { TicketKey } from '../../lib/tls/ticket-keys.ts';

export class TicketKeys {
  readonly #halfLifeSeconds: number;
  #current: TicketKey | undefined;
  #previous: TicketKey | undefined;

  /** @param sessionSeconds how long a session may be resumed; 0: never */
  constructor(sessionSeconds: number) {
    this.#halfLifeSeconds = Math.floor(sessionSeconds / 2);
  }

  /** The key for new tickets. @param now seconds since the epoch */
  forSealing(now: number): TicketKey | undefined {
    if (this.#halfLifeSeconds <= 0) return undefined;
    if (this.#current === undefined || this.#current.expires <= now) {
      this.#previous = this.#current;
      this.#current = {
        name: randomBytes(16),
        secret: randomBytes(64),
        expires: now + this.#halfLifeSeconds - 1,
      };
    }
    return this.#current;
  }

  /** The key that a ticket was sealed with, unless that is too long ago. */
  forOpening(name: Buffer, now: number): TicketKey | undefined {
    return [this.#current, this.#previous].find(
      (key) => key?.name.equals(name) === true && key.expires + this.#halfLifeSeconds > now,
    );
  }
}
