/** How many clients there are, and whether that is too many. */
import type { Log } from '../../lib/log/log.ts';
import { type Expiry, newExpiry } from './reputation.ts';

/** What all sessions of one client share. */
export interface ClientState {
  sessions: number;
  expiry: Expiry;
  /** It was said to have passed the tests. */
  isKnownNew: boolean;
}

/** Of postscreen_pre_queue_limit: where stress begins, and where it is over. */
const STRESS_AT = 0.9;
const RELIEF_AT = 0.7;

export class Occupancy {
  readonly #log: Log;
  readonly #stressAt: number;
  readonly #reliefAt: number;
  readonly #clients = new Map<string, ClientState>();
  #isStressed = false;
  /** Clients that we have, and those among them whom a server is about to take. */
  #all = 0;
  #passing = 0;

  /** @param limit postscreen_pre_queue_limit; 0: none */
  constructor(limit: number, log: Log) {
    this.#log = log;
    this.#stressAt = Math.floor(limit * STRESS_AT);
    this.#reliefAt = Math.floor(limit * RELIEF_AT);
  }

  get isStressed(): boolean {
    return this.#isStressed;
  }

  get screened(): number {
    return this.#all - this.#passing;
  }

  get passing(): number {
    return this.#passing;
  }

  enter(address: string): ClientState {
    this.#all += 1;
    if (!this.#isStressed && this.#all >= this.#stressAt) {
      this.#isStressed = true;
      this.#log.info(`entering STRESS mode with ${this.#all} connections`);
    }
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = { sessions: 0, expiry: newExpiry(), isKnownNew: false };
      this.#clients.set(address, client);
    }
    client.sessions += 1;
    return client;
  }

  leave(address: string): void {
    this.#all -= 1;
    if (this.#isStressed && this.#all <= this.#reliefAt) {
      this.#isStressed = false;
      this.#log.info(`leaving STRESS mode with ${this.#all} connections`);
    }
    const client = this.#clients.get(address);
    if (client === undefined) return;
    client.sessions -= 1;
    if (client.sessions === 0) this.#clients.delete(address);
  }

  startPassing(): void {
    this.#passing += 1;
  }

  endPassing(): void {
    this.#passing -= 1;
  }
}
