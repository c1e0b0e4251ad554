/** The queue as `postqueue -j` prints it: one JSON object a line. Pure: queue.md 7.6. */
import type { ListedMessage } from '../../lib/clients/showq.ts';

export function formatJson(message: ListedMessage): string {
  const recipients = message.recipients.map(({ address, reason }) => {
    const why = reason === '' ? '' : `, "delay_reason": ${quoted(reason)}`;
    return `{"address": ${quoted(address)}${why}}`;
  });
  const members = [
    `"queue_name": ${quoted(message.queueName)}`,
    `"queue_id": ${quoted(message.queueId)}`,
    `"arrival_time": ${message.arrivalTime}`,
    `"message_size": ${message.sizeBytes}`,
    `"forced_expire": ${message.forcedExpire}`,
    `"sender": ${quoted(message.sender)}`,
    `"recipients": [${recipients.join(', ')}]`,
  ];
  return `{${members.join(', ')}}\n`;
}

/** Bytes that were no UTF-8 show as `?`; Postfix writes the digits of escapes in capitals. */
function quoted(text: string): string {
  const json = JSON.stringify(text.replaceAll('\ufffd', '?'));
  return json.replace(/\\(?:u([0-9a-f]{4})|.)/g, (found, digits?: string) =>
    digits === undefined ? found : `\\u${digits.toUpperCase()}`,
  );
}
