/** What DNS lists say of clients: dnsblog(8) asks them, all at once, and once for all sessions of a client. */
import { askList, type DnsblogOptions, ListError } from '../../lib/clients/dnsblog.ts';
import type { Log } from '../../lib/log/log.ts';
import { type ListSite, type Score, ScoreSum } from './list-sites.ts';

/** Lookups for one client, that its sessions share. */
export interface ScoreLookup {
  /** The lists have answered, all of them, or will not. */
  readonly done: Promise<void>;
  /** The score as far as it is known. */
  readonly score: Score;
}

interface SharedLookup extends ScoreLookup {
  sessions: number;
}

export class ListScores {
  readonly #sites: ReadonlyMap<string, readonly ListSite[]>;
  readonly #options: DnsblogOptions;
  readonly #log: Log;
  readonly #lookups = new Map<string, SharedLookup>();

  constructor(sites: readonly ListSite[], options: DnsblogOptions, log: Log) {
    const domains = [...new Set(sites.map(({ domain }) => domain))];
    this.#sites = new Map(
      domains.map((domain) => [domain, sites.filter((site) => site.domain === domain)]),
    );
    this.#options = options;
    this.#log = log;
  }

  get isEmpty(): boolean {
    return this.#sites.size === 0;
  }

  /** Asks about a client; call `release` with its address when the session needs it no more. */
  request(address: string): ScoreLookup {
    const known = this.#lookups.get(address);
    if (known !== undefined) {
      known.sessions += 1;
      return known;
    }
    const sum = new ScoreSum();
    const asked = [...this.#sites].map(([domain, sites]) => this.#ask(domain, sites, address, sum));
    const lookup: SharedLookup = {
      done: Promise.all(asked).then(() => {}),
      get score() {
        return sum.score;
      },
      sessions: 1,
    };
    this.#lookups.set(address, lookup);
    return lookup;
  }

  release(address: string): void {
    const lookup = this.#lookups.get(address);
    if (lookup === undefined) return;
    lookup.sessions -= 1;
    if (lookup.sessions === 0) this.#lookups.delete(address);
  }

  /** A list that does not answer has nothing to say. */
  async #ask(
    domain: string,
    sites: readonly ListSite[],
    address: string,
    sum: ScoreSum,
  ): Promise<void> {
    try {
      const { addresses, ttl } = await askList(domain, address, this.#options);
      sum.add(sites, addresses, ttl);
    } catch (error) {
      if (!(error instanceof ListError)) throw error;
      this.#log.warn(error.message);
    }
  }
}
