/** What qmgr reads of main.cf. */
import type { ServiceContext } from '../../lib/server/service.ts';

export const QMGR_PARAMETERS = [
  'address_verify_pending_request_limit',
  'bounce_queue_lifetime',
  'bounce_service_name',
  'confirm_delay_cleared',
  'daemon_timeout',
  'default_filter_nexthop',
  'default_process_limit',
  'defer_service_name',
  'defer_transports',
  'disable_verp_bounces',
  'double_bounce_sender',
  'error_service_name',
  'hash_queue_depth',
  'hash_queue_names',
  'helpful_warnings',
  'maximal_backoff_time',
  'maximal_queue_lifetime',
  'minimal_backoff_time',
  'myhostname',
  'qmgr_clog_warn_time',
  'qmgr_ipc_timeout',
  'qmgr_message_active_limit',
  'qmgr_message_recipient_limit',
  'qmgr_message_recipient_minimum',
  'queue_run_delay',
  'recipient_delimiter',
  'rewrite_service_name',
  'trace_service_name',
  'transport_retry_time',
  'verp_delimiter_filter',
] as const;

export type QmgrParameter = (typeof QMGR_PARAMETERS)[number];
export type QmgrContext = ServiceContext<QmgrParameter>;
export type Settings = QmgrContext['parameters'];

/** What holds for one transport: `TRANSPORT_destination_concurrency_limit` and its siblings. */
export interface TransportLimits {
  /** 0: no limit. */
  readonly concurrency: number;
  readonly initialConcurrency: number;
  /** Recipients in one delivery; 0: no limit. */
  readonly recipients: number;
  /** Failed pseudo-cohorts until a destination is dead; 0: never. */
  readonly failedCohorts: number;
  readonly positiveFeedback: Feedback;
  readonly negativeFeedback: Feedback;
  /** Seconds between deliveries to the same destination, and over the whole transport. */
  readonly destinationDelay: number;
  readonly transportDelay: number;
  readonly slots: SlotRules;
  /** Recipients in memory, and a reserve for messages that preempt others. */
  readonly recipientsInMemory: number;
  readonly recipientsInReserve: number;
  /** Recipients read at a time, and the seconds after which fewer will do. */
  readonly refillRecipients: number;
  readonly refillDelay: number;
}

/** When a small message may go before a large one. */
export interface SlotRules {
  /** Deliveries of the large one that earn a slot; below 2: never. */
  readonly cost: number;
  /** Slots, and percent of those needed, that are given in advance. */
  readonly loan: number;
  readonly discount: number;
  /** A message that can't earn so many is not preempted. */
  readonly minimumSlots: number;
}

/** How far one delivery moves the concurrency: a number, or one that depends on it. */
export interface Feedback {
  readonly factor: number;
  readonly per: 'delivery' | 'concurrency' | 'sqrt_concurrency';
}

const FEEDBACK = /^(\d+(?:\.\d+)?)(?:\s*\/\s*(concurrency|sqrt_concurrency|\d+(?:\.\d+)?))?$/;

/** Reads `1`, `0.5`, `1/3`, `1 / concurrency` or `1 / sqrt_concurrency`; undefined for others. */
export function parseFeedback(text: string): Feedback | undefined {
  const match = FEEDBACK.exec(text.trim());
  const numerator = match?.[1];
  if (numerator === undefined) return undefined;
  const per = match?.[2] ?? '1';
  const factor = Number(numerator);
  if (per === 'concurrency' || per === 'sqrt_concurrency') return within({ factor, per });
  return within({ factor: factor / Number(per), per: 'delivery' });
}

/** More than one step a delivery makes no sense; Postfix refuses it, too. */
function within(feedback: Feedback): Feedback | undefined {
  return feedback.factor >= 0 && feedback.factor <= 1 ? feedback : undefined;
}
