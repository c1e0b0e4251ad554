/** The third view of events: how many of each. */
import type { LogEvent } from './event.ts';

/** `delivery.sent`, `reject.RCPT`, `queued` ...: how often since the process started. */
export type Counters = Map<string, number>;

/** Counts one event; plain text is not worth a number. */
export function countEvent(counters: Counters, event: LogEvent): void {
  if (event.kind === 'text') return;
  const name = counterName(event);
  counters.set(name, (counters.get(name) ?? 0) + 1);
}

function counterName(event: LogEvent): string {
  if (event.kind === 'delivery') return STATUS_COUNTERS[event.status];
  if (event.kind === 'reject') return `${event.action}.${event.stage}`;
  return event.kind;
}

const STATUS_COUNTERS = {
  sent: 'delivery.sent',
  deferred: 'delivery.deferred',
  bounced: 'delivery.bounced',
  SOFTBOUNCE: 'delivery.softbounced',
  deliverable: 'delivery.deliverable',
  undeliverable: 'delivery.undeliverable',
  'undeliverable-but-not-cached': 'delivery.undeliverable',
  expanded: 'delivery.expanded',
} as const;
