import type { Status } from '../dsn/status.ts';
import type { Recipient } from './recipient.ts';

/** What the log and a delivery status notification tell beyond status and text. */
export interface OutcomeDetail {
  /** What answered, for the log: `mx.example.com[192.0.2.1]:25`, `local`; `none` when left out. */
  readonly relay?: string;
  /** How often the connection has been used; logged from the second time on. */
  readonly connUse?: number;
  /** RFC 3464 action of a successful delivery; `delivered` when left out. */
  readonly action?: 'delivered' | 'relayed' | 'expanded';
  /** RFC 3464 Diagnostic-Code: `smtp`, `x-unix`. */
  readonly diagnostic?: { readonly type: string; readonly text: string };
  /** RFC 3464 Remote-MTA: `dns`. */
  readonly remoteMta?: { readonly type: string; readonly name: string };
}

/** What became of one recipient in one attempt. */
export type Outcome =
  | ({ readonly kind: 'sent'; readonly status: Status<2>; readonly text: string } & OutcomeDetail)
  | ({
      readonly kind: 'deferred';
      readonly status: Status<4>;
      readonly text: string;
    } & OutcomeDetail)
  | ({
      readonly kind: 'bounced';
      readonly status: Status<5>;
      readonly text: string;
    } & OutcomeDetail);

/** One recipient, and what became of it. */
export interface Delivered {
  readonly recipient: Recipient;
  readonly outcome: Outcome;
}
