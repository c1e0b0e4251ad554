/** Keys of session tickets, which tlsmgr gives to all processes alike. */
import { hkdfSync, randomBytes } from 'node:crypto';
import { now } from '../clock/clock.ts';
import { IpcError } from '../ipc/error.ts';
import type { Log } from '../log/log.ts';
import { TICKET_KEY_BYTES } from './server-context.ts';

/** A key that session tickets are sealed with, as tlsmgr keeps it. */
export interface TicketKey {
  readonly name: Buffer;
  readonly secret: Buffer;
  /** No new ticket is sealed with it later; seconds since the epoch. */
  readonly expires: number;
}

/** What tlsmgr(8) is asked; an IpcError when it can't be had. */
export interface TlsManager {
  /** For how many seconds sessions may be resumed. */
  policy(cache: 'smtpd'): Promise<{ readonly timeoutSeconds: number }>;
  /** The key to seal tickets with, or the one of a name; `undefined`: there is none. */
  ticketKey(name?: Buffer): Promise<TicketKey | undefined>;
  close(): void;
}

/** A key as node:tls wants it: its name, and what it does with it. */
export interface SealingKey {
  /** In hexadecimal. */
  readonly id: string;
  readonly key: Buffer;
  /** Seconds since the epoch. */
  readonly expires: number;
}

const NAME_BYTES = 16;
/** Old keys that tickets may still come with. */
const KEPT_MAX = 4;
/** While tlsmgr can't be had, tickets are for this process alone, so long. */
const ALONE_SECONDS = 60;

export class TicketKeyRing {
  readonly #tlsmgr: TlsManager;
  readonly #purpose: string;
  readonly #log: Log;
  readonly #kept = new Map<string, SealingKey>();
  #current: SealingKey | undefined;
  #asking: Promise<SealingKey> | undefined;
  #isFailing = false;

  /** @param purpose another service derives other keys from the same secret */
  constructor(tlsmgr: TlsManager, purpose: string, log: Log) {
    this.#tlsmgr = tlsmgr;
    this.#purpose = purpose;
    this.#log = log;
  }

  /** The key for a handshake: the one that the client's ticket names, if there is still such a one. */
  async keyFor(ticketName: Buffer | undefined): Promise<SealingKey> {
    const current = await this.#sealing();
    const id = ticketName?.toString('hex');
    if (id === undefined || id === current.id) return current;
    const known = this.#kept.get(id) ?? (await this.#ask(ticketName));
    return known ?? current;
  }

  #sealing(): Promise<SealingKey> | SealingKey {
    if (this.#current !== undefined && this.#current.expires > secondsNow()) return this.#current;
    this.#asking ??= this.#renew().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #renew(): Promise<SealingKey> {
    this.#current = (await this.#ask()) ?? {
      id: '',
      key: randomBytes(TICKET_KEY_BYTES),
      expires: secondsNow() + ALONE_SECONDS,
    };
    return this.#current;
  }

  async #ask(name?: Buffer): Promise<SealingKey | undefined> {
    // Who sends us made-up names must not keep tlsmgr busy while it is in trouble.
    if (name !== undefined && this.#isFailing) return undefined;
    try {
      const found = await this.#tlsmgr.ticketKey(name);
      this.#isFailing = false;
      return found && this.#keep(found);
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      if (!this.#isFailing) {
        this.#log.warn(`${error.message} -- TLS sessions can't be resumed with other processes`);
      }
      this.#isFailing = true;
      return undefined;
    }
  }

  #keep({ name, secret, expires }: TicketKey): SealingKey {
    const id = name.toString('hex');
    const derived = hkdfSync('sha256', secret, name, this.#purpose, TICKET_KEY_BYTES - NAME_BYTES);
    const sealing = { id, key: Buffer.concat([name, Buffer.from(derived)]), expires };
    this.#kept.set(id, sealing);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MAX) break;
      this.#kept.delete(oldest);
    }
    return sealing;
  }
}

const secondsNow = () => Math.floor(now() / 1000);
