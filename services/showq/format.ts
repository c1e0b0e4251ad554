/** A message as it travels to postqueue: ipc.md 3.6. Pure. */
import { quote } from '../../lib/address/address.ts';
import { formatAttributes, longValue } from '../../lib/ipc/attributes.ts';
import { printable } from '../../lib/log/printable.ts';
import type { QueuedMessage } from './listing.ts';

/** Ends a message, and the whole list where a message would begin. */
export const TERMINATOR = Buffer.from('\0');

/** Recipients in one piece of output. */
const RECIPIENTS_A_PIECE = 100;

/** The pieces of one message, its terminator included. */
export function* formatMessage(
  message: QueuedMessage,
  nullSender: string,
): Generator<Buffer, void, undefined> {
  let attributes: [string, string | number | bigint][] = [
    ['queue_name', message.queue],
    ['queue_id', message.id],
    ['time', longValue(message.arrivalTime)],
    ['size', longValue(message.sizeBytes)],
    ['forced_expire', message.forcedExpire ? 1 : 0],
    ['sender', message.sender === '' ? nullSender : external(message.sender)],
  ];
  let count = 0;
  for (const { address, reason } of message.recipients) {
    attributes.push(['recipient', address === '' ? nullSender : external(address)]);
    attributes.push(['reason', printable(reason)]);
    count += 1;
    if (count % RECIPIENTS_A_PIECE !== 0) continue;
    yield formatAttributes(attributes, { more: true });
    attributes = [];
  }
  yield formatAttributes(attributes);
}

function external(address: string): string {
  return printable(quote(address));
}
