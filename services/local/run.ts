/** What one recipient's delivery has at hand, through all of its branches. */

import type { BounceClient } from '../../lib/clients/bounce.ts';
import type { CleanupClient } from '../../lib/clients/cleanup.ts';
import type { RewriteClient } from '../../lib/clients/rewrite.ts';
import type { Delivery } from '../../lib/delivery/agent.ts';
import type { FileWork } from '../../lib/delivery/file-work.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import { DELIVERY_FLAG, type DeliveryRequest } from '../../lib/delivery/request.ts';
import type { Status } from '../../lib/dsn/status.ts';
import type { Identity, User } from '../../lib/os/identity.ts';
import type { Biff } from './biff.ts';
import type { Branch } from './branch.ts';
import type { DuplicateFilter } from './duplicate-filter.ts';
import type { Forwarding } from './forwarding.ts';
import type { Parameter, Settings } from './settings.ts';
import type { Step, StepResult } from './steps.ts';
import type { LocalTables, OpenedTables } from './tables.ts';

/** What all deliveries of one process share. */
export interface Local {
  readonly settings: Settings;
  readonly tables: LocalTables;
  readonly cleanup: CleanupClient;
  readonly rewrite: RewriteClient;
  readonly bounce: BounceClient;
  readonly work: FileWork<Step, StepResult>;
  readonly biff: Biff;
}

/** local's view of the agent skeleton. */
export type LocalDelivery = Delivery<Parameter, Local>;

/** Whether a branch is dealt with, or is to be tried again. */
export type Progress = 'done' | 'deferred';

/** One recipient of one request. */
export class Run {
  readonly local: Local;
  readonly request: DeliveryRequest;
  readonly delivery: LocalDelivery;
  readonly duplicates: DuplicateFilter;
  /** New messages under way, by what makes them different. */
  readonly forwardings: Map<string, Forwarding> = new Map();
  /** The addresses in the message's Delivered-To headers. */
  readonly loops: ReadonlySet<string>;
  readonly tables: OpenedTables;
  /** Goes on with an address that a list names. */
  readonly deliver: (run: Run, branch: Branch) => Promise<Progress>;
  /** What has been recorded, or left to another agent. None at the end: the mail went nowhere. */
  outcomes = 0;
  /** How many deliveries to Maildirs were planned. */
  maildirs = 0;
  /** How the mail came to where it went: one decision a line, for the debug log. */
  readonly trail: string[] = [];

  constructor(parts: {
    local: Local;
    request: DeliveryRequest;
    delivery: LocalDelivery;
    duplicates: DuplicateFilter;
    loops: ReadonlySet<string>;
    tables: OpenedTables;
    deliver: (run: Run, branch: Branch) => Promise<Progress>;
  }) {
    this.local = parts.local;
    this.request = parts.request;
    this.delivery = parts.delivery;
    this.duplicates = parts.duplicates;
    this.loops = parts.loops;
    this.tables = parts.tables;
    this.deliver = parts.deliver;
  }

  get settings(): Settings {
    return this.local.settings;
  }

  /** Nothing is to be delivered: somebody asks what would happen. */
  get isProbe(): boolean {
    return (this.request.flags & (DELIVERY_FLAG.MTA_VRFY | DELIVERY_FLAG.USR_VRFY)) !== 0;
  }

  /** A probe that is not to expand aliases either. */
  get isVerification(): boolean {
    return (this.request.flags & DELIVERY_FLAG.MTA_VRFY) !== 0;
  }

  sent(branch: Branch, text: string, action?: 'relayed'): Promise<Progress> {
    const more = action === undefined ? {} : { action };
    return this.report(branch, { kind: 'sent', status: '2.0.0', text, ...more });
  }

  /** The class of the status decides between bounce and deferral. */
  failed(branch: Branch, status: Status<4> | Status<5>, text: string): Promise<Progress> {
    return this.report(
      branch,
      isTemporary(status) ? { kind: 'deferred', status, text } : { kind: 'bounced', status, text },
    );
  }

  async report(branch: Branch, outcome: Outcome): Promise<Progress> {
    this.outcomes += 1;
    const recorded = { ...outcome, relay: 'local' };
    const done = await this.delivery.record(reported(branch.recipient), recorded);
    return done ? 'done' : 'deferred';
  }

  warn(text: string): void {
    this.delivery.log.warn(text);
  }
}

function isTemporary(status: Status<4> | Status<5>): status is Status<4> {
  return status.startsWith('4');
}

/** The recipient is marked done when all of its branches are. */
function reported(recipient: Recipient): Recipient {
  return { ...recipient, offset: -1 };
}

/** Whose rights a thread takes for a user: no groups but the first, as Postfix. */
export function identityOf(user: { readonly uid: number; readonly gid: number }): Identity {
  return { uid: user.uid, gid: user.gid, groups: [user.gid] };
}

/** Why this process can't act for a user; undefined when it can. */
export function actingTrouble(user: User): string | undefined {
  const own = process.geteuid?.() ?? 0;
  if (own === 0 || own === user.uid) return undefined;
  return `this mail system runs as uid ${own} without privileges, and can't deliver for user ${user.name} (uid ${user.uid})`;
}
