/** Makes one notice and gives it to cleanup, as records: ipc.md 3.1, queue.md 6.3. */
import type { CleanupClient } from '../../lib/clients/cleanup.ts';
import { nowMicroseconds } from '../../lib/clock/clock.ts';
import { RET } from '../../lib/dsn/notify.ts';
import { type Attached, type Report, reportEnd, reportLines } from '../../lib/dsn/report.ts';
import { formatDate } from '../../lib/message/date.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import type { Original } from './original.ts';
import type { PlannedNotice } from './plan.ts';
import type { Entry, NoticeRequest } from './request.ts';
import type { NoticeSettings } from './settings.ts';

/** Everything that one notice is made of. */
export interface Notice {
  readonly plan: PlannedNotice;
  readonly request: NoticeRequest;
  /** The entries that the notice tells about; called twice. */
  readonly entries: () => Iterable<Entry>;
  /** Absent when the message can't be read. */
  readonly original: Original | undefined;
}

/** Text leaves in pieces of about this size. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Queues a notice.
 *
 * @returns its queue id
 * @throws when cleanup can't be reached, or does not want it: the client has to try again
 */
export async function sendNotice(
  notice: Notice,
  settings: NoticeSettings,
  cleanup: CleanupClient,
): Promise<string> {
  const { plan, request, original } = notice;
  const message = await cleanup.open(settings.cleanupFlags(request.utf8));
  try {
    const writer = new RecordWriter();
    const flush = async () => {
      await message.write(writer.take());
    };
    const report = reportOf(notice, settings);
    const attached = attachedOf(notice, settings);
    writeEnvelope(writer, plan, report, message.queueId, settings);
    for (const line of reportLines(report, notice.entries, attached)) {
      writeLine(writer, line, settings.lineBytesMax);
      if (writer.pending >= CHUNK_BYTES) await flush();
    }
    if (original !== undefined) {
      await original.copy(writer, attached === 'headers', flush);
      for (const line of reportEnd(report)) writeLine(writer, line, settings.lineBytesMax);
    }
    writer.record(RECORD.extracted);
    writer.record(RECORD.end);
    await flush();
    const { status, reason } = await message.finish();
    if (status !== 0) throw new Error(`cleanup refused a notice for ${request.queueId}: ${reason}`);
    return message.queueId;
  } catch (error) {
    message.abort();
    throw error;
  }
}

function writeEnvelope(
  writer: RecordWriter,
  plan: PlannedNotice,
  report: Report,
  queueId: string,
  settings: NoticeSettings,
): void {
  const { seconds, microseconds } = nowMicroseconds();
  const date = formatDate(report.madeAt);
  writer.record(RECORD.time, `${seconds} ${microseconds}`);
  writer.record(RECORD.attribute, 'log_message_origin=local');
  writer.record(RECORD.attribute, 'trace_flags=0');
  writer.record(RECORD.sender, plan.from);
  writer.record(RECORD.recipient, plan.to);
  writer.record(RECORD.message);
  writer.record(RECORD.text, `Received: by ${settings.hostname} (${settings.mailName})`);
  writer.record(RECORD.text, `\tid ${queueId}; ${date}`);
  writer.record(RECORD.text, `Date: ${date}`);
}

/** No record is longer than line_length_limit, whatever somebody's server has said. */
function writeLine(writer: RecordWriter, line: string, bytesMax: number): void {
  if (line.length * 3 <= bytesMax) {
    writer.record(RECORD.text, line);
    return;
  }
  const bytes = Buffer.from(line, 'utf8');
  let at = 0;
  for (; bytes.length - at > bytesMax; at += bytesMax) {
    writer.slice(RECORD.longText, bytes, at, at + bytesMax);
  }
  writer.slice(RECORD.text, bytes, at, bytes.length);
}

function reportOf({ plan, request, original }: Notice, settings: NoticeSettings): Report {
  const arrivedAt = original?.arrivedAt;
  const retryUntil =
    plan.template === 'delay' && arrivedAt !== undefined
      ? arrivedAt + settings.lifetimeSeconds * 1000
      : undefined;
  const { template, text } = settings.templates[plan.template];
  return {
    template,
    text,
    postmaster: plan.postmaster,
    to: plan.to,
    hostname: settings.hostname,
    message: {
      queueId: request.queueId,
      envelopeId: request.envelopeId,
      sender: original?.envelope.sender,
      arrivedAt,
      messageId: settings.threaded ? original?.messageId() : undefined,
    },
    madeAt: settings.now(),
    encoding: encodingOf(request, settings),
    utf8: request.utf8,
    utf8Addresses: request.utf8Addresses,
    oldFrom: settings.oldFrom,
    retryUntil,
  };
}

function encodingOf(request: NoticeRequest, settings: NoticeSettings): Report['encoding'] {
  if (settings.utf8Enabled) return '8bit';
  return request.encoding === '7bit' || request.encoding === '8bit' ? request.encoding : '';
}

/** Nobody gets a large message back. */
function attachedOf({ plan, request, original }: Notice, settings: NoticeSettings): Attached {
  if (plan.attach === 'headers') return 'headers';
  const headers = plan.attach === 'asked' && (request.returnFlags & RET.headers) !== 0;
  const tooLarge = (original?.sizeBytes ?? 0) > settings.sizeLimitBytes;
  return headers || tooLarge ? 'headers' : 'message';
}
