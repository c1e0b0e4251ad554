/** Mail that a daemon writes itself, to tell postmaster something. Postfix: post_mail(3). */
import { now, nowMicroseconds } from '../clock/clock.ts';
import { formatDate } from '../message/date.ts';
import { RECORD } from '../queue/record.ts';
import { RecordWriter } from '../queue/record-writer.ts';
import type { CleanupClient } from './cleanup.ts';

export interface Notice {
  readonly sender: string;
  readonly recipient: string;
  /** Headers, an empty line, the body; no line longer than line_length_limit. */
  readonly lines: readonly string[];
  /** For the Received: header. */
  readonly hostname: string;
  readonly mailName: string;
}

/**
 * Queues a notice.
 *
 * @param flags CLEANUP_FLAG
 * @throws when cleanup can't be had, or does not take it
 */
export async function postNotice(
  cleanup: CleanupClient,
  notice: Notice,
  flags: number,
): Promise<void> {
  const message = await cleanup.open(flags);
  try {
    const { seconds, microseconds } = nowMicroseconds();
    const date = formatDate(now());
    const writer = new RecordWriter();
    writer.record(RECORD.time, `${seconds} ${microseconds}`);
    writer.record(RECORD.attribute, 'log_message_origin=local');
    writer.record(RECORD.attribute, 'trace_flags=0');
    writer.record(RECORD.sender, notice.sender);
    writer.record(RECORD.recipient, notice.recipient);
    writer.record(RECORD.message);
    writer.record(RECORD.text, `Received: by ${notice.hostname} (${notice.mailName})`);
    writer.record(RECORD.text, `\tid ${message.queueId}; ${date}`);
    writer.record(RECORD.text, `Date: ${date}`);
    for (const line of notice.lines) writer.record(RECORD.text, line);
    writer.record(RECORD.extracted);
    writer.record(RECORD.end);
    await message.write(writer.take());
    const { status, reason } = await message.finish();
    if (status !== 0) throw new Error(`cleanup refused a notice: ${reason || status}`);
  } catch (error) {
    message.abort();
    throw error;
  }
}
