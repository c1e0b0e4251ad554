/** What access tables do to a message, and how cleanup is told. Pure. */
import { CLEANUP_FLAG } from '../../lib/clients/cleanup.ts';
import { RECORD, type RecordWriter } from '../../lib/queue/record.ts';
import type { MessageOrders } from './transaction.ts';
import type { Effect } from './verdict.ts';

/** Nobody is told what becomes of a copy. RFC 3461. */
const NOTIFY_NEVER = 1;

/** A new message: nothing is to be done to it. */
export function noOrders(): MessageOrders {
  return {
    filter: undefined,
    redirect: undefined,
    bcc: [],
    prepend: [],
    isHeld: false,
    isDiscarded: false,
  };
}

/** Remembers what is to be done; of two filters the last counts. */
export function order(orders: MessageOrders, effect: Effect): void {
  switch (effect.kind) {
    case 'filter':
    case 'redirect':
      orders[effect.kind] = effect.text;
      break;
    case 'bcc':
      // Restrictions of a sender are gone through for each recipient.
      if (!orders.bcc.includes(effect.text)) orders.bcc.push(effect.text);
      break;
    case 'prepend':
      orders.prepend.push(effect.text);
      break;
    case 'hold':
      orders.isHeld = true;
      break;
    case 'discard':
      orders.isDiscarded = true;
  }
}

/** Before the content: a message that is discarded need not be written at all. */
export function writeFlags(writer: RecordWriter, { isHeld, isDiscarded }: MessageOrders): void {
  const flags = (isHeld ? CLEANUP_FLAG.HOLD : 0) | (isDiscarded ? CLEANUP_FLAG.DISCARD : 0);
  if (flags !== 0) writer.record(RECORD.flags, String(flags));
}

/** After the content, when nothing can be added any more. */
export function writeOrders(writer: RecordWriter, orders: MessageOrders): void {
  const { filter, redirect, bcc } = orders;
  if (filter !== undefined) writer.record(RECORD.filter, filter);
  if (redirect !== undefined) writer.record(RECORD.redirect, redirect);
  for (const address of bcc) {
    writer.record(RECORD.attribute, `notify_flags=${NOTIFY_NEVER}`);
    writer.record(RECORD.recipient, address);
  }
  writeFlags(writer, orders);
}
