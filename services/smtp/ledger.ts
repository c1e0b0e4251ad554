import type { Outcome } from '../../lib/delivery/outcome.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import { type DsnDetail, NO_DETAIL } from '../../lib/dsn/detail.ts';
import { NOTIFY } from '../../lib/dsn/notify.ts';
import type { Status } from '../../lib/dsn/status.ts';
import { dispositionOf, type Trouble } from './trouble.ts';

/** Where a result comes from. */
export interface Where {
  /** For the log: `mx.example.com[192.0.2.1]:25`, or `none`. */
  readonly relay: string;
  readonly connUse?: number;
  /** There is nobody else to try. */
  readonly lastHost: boolean;
}

export interface LedgerOptions {
  readonly recipients: readonly Recipient[];
  readonly softBounce: boolean;
  record(recipient: Recipient, outcome: Outcome): Promise<unknown>;
  /** The destination is in trouble: qmgr is to slow down. */
  siteFailed(detail: DsnDetail): void;
  /** A host was passed over, and why. */
  skipped(reason: string): void;
}

/** Who still waits for the mail, in one attempt that may go through several hosts. */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #left: Set<Recipient>;
  readonly #kept = new Set<Recipient>();
  #siteTold = false;
  /** The latest trouble: what is told when no other host can be reached. */
  lastTrouble: Trouble | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#left = new Set(options.recipients);
  }

  /** How many wait for this or the next host. */
  get left(): number {
    return this.#left.size;
  }

  /** Those that this host has not settled. */
  get open(): readonly Recipient[] {
    return [...this.#left].filter((recipient) => !this.#kept.has(recipient));
  }

  /** Turns to another host. */
  begin(): void {
    this.#kept.clear();
  }

  /** @param reportsItself the server knows DSN: telling the sender of a success is up to it */
  async sent(recipient: Recipient, outcome: Outcome, reportsItself: boolean): Promise<void> {
    this.#left.delete(recipient);
    // What is recorded is this very recipient, so its wish is taken off, not a copy made.
    if (reportsItself && (recipient.notify & NOTIFY.success) !== 0) {
      Object.assign(recipient, { notify: recipient.notify & ~NOTIFY.success });
    }
    await this.#options.record(recipient, outcome);
  }

  /** Keeps recipients for the next host, or reports them. */
  async fail(recipients: readonly Recipient[], trouble: Trouble, where: Where): Promise<void> {
    this.lastTrouble = trouble;
    if (recipients.length === 0) return;
    const disposition = dispositionOf(trouble, where.lastHost, this.#options.softBounce);
    if (disposition === 'next-host') {
      this.#options.skipped(trouble.reason);
      for (const recipient of recipients) this.#kept.add(recipient);
      return;
    }
    const outcome = outcomeOf(trouble, disposition, where);
    for (const recipient of recipients) {
      this.#left.delete(recipient);
      await this.#options.record(recipient, outcome);
    }
    const retried = disposition === 'defer' || this.#options.softBounce;
    if (trouble.site && retried && !this.#siteTold) {
      this.#siteTold = true;
      this.#options.siteFailed(detailOf(trouble));
    }
  }
}

function outcomeOf(
  { status, reason, diagnostic, remoteMta }: Trouble,
  disposition: 'defer' | 'bounce',
  { relay, connUse }: Where,
): Outcome {
  const detail = { text: reason, relay, connUse, diagnostic, remoteMta };
  return disposition === 'defer'
    ? { kind: 'deferred', status: status as Status<4>, ...detail }
    : { kind: 'bounced', status: status as Status<5>, ...detail };
}

function detailOf(trouble: Trouble): DsnDetail {
  return {
    ...NO_DETAIL,
    status: trouble.status,
    diagType: trouble.diagnostic?.type ?? '',
    diagText: trouble.diagnostic?.text ?? '',
    mtaType: trouble.remoteMta?.type ?? '',
    mtaName: trouble.remoteMta?.name ?? '',
    reason: trouble.reason,
  };
}
