/**
 * A client of cleanup that says exactly what a test wants, and reads the queue file it gets.
 */
import { existsSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecords, type RecordText, toBytes } from '../../support/records.ts';
import { converse } from './converse.ts';

export interface Submission {
  readonly flags: number;
  readonly records: readonly RecordText[];
}

export interface Outcome {
  readonly queueId: string;
  readonly status: string;
  readonly reason: string;
  /** Where its file was; '' when there is none. */
  readonly queue: string;
  readonly mode: string;
  readonly records: readonly RecordText[];
}

const KEEP = Buffer.from('reuse\0yes\0\0');

/** Submits a message, takes its queue file out of the queue. */
export async function submit(
  queue: string,
  service: string,
  { flags, records }: Submission,
): Promise<Outcome> {
  let queueId = '';
  const received = await converse(join(queue, 'public', service), (bytes) => {
    const text = bytes.toString('latin1');
    const announced = /^protocol\0cleanup_protocol\0queue_id\0([^\0]+)\0\0/.exec(text);
    if (announced === null) return 'more';
    if (queueId === '') {
      queueId = announced[1] as string;
      return Buffer.concat([Buffer.from(`flags\0${flags}\0\0`), toBytes(records)]);
    }
    return bytes.subarray(-KEEP.length).equals(KEEP) ? 'end' : 'more';
  });
  const [, status = 'none', reason = ''] =
    /\0\0status\0(\d+)\0reason\0([^\0]*)\0\0/.exec(received.toString('latin1')) ?? [];
  return { queueId, status, reason, ...takeFile(queue, queueId) };
}

function takeFile(directory: string, queueId: string) {
  for (const queue of ['incoming', 'hold']) {
    const path = join(directory, queue, queueId);
    if (!existsSync(path)) continue;
    const mode = (statSync(path).mode & 0o7777).toString(8);
    const records = parseRecords(readFileSync(path));
    unlinkSync(path);
    return { queue, mode, records };
  }
  return { queue: '', mode: '', records: [] };
}

/** What differs from message to message, taken out. */
export function comparable(outcome: Outcome): unknown {
  const plain = (text: string) =>
    text
      .replaceAll(outcome.queueId, 'QID')
      .replace(/<\d{14}\.QID@/g, '<TIME.QID@')
      .replace(/^create_time=\d+$/, 'create_time=N');
  return {
    status: outcome.status,
    reason: outcome.reason,
    queue: outcome.queue,
    mode: outcome.mode,
    records: outcome.records.map(([type, data]) => `${type} ${plain(data)}`),
  };
}

export interface MessageParts {
  readonly flags?: number;
  readonly sender?: string;
  readonly recipients?: readonly string[];
  readonly context?: string | undefined;
  /** Records before the recipients, and behind the content. */
  readonly envelope?: readonly RecordText[];
  readonly extracted?: readonly RecordText[];
  /** Lines; a pair is a record. The first is preceded by a Received: header. */
  readonly content: readonly (string | RecordText)[];
}

export const SMTPD_FLAGS = 178;

/** A message as smtpd would hand it over. */
export function message(parts: MessageParts): Submission {
  const { sender = 'al@x.test', recipients = ['bob@ok.test'], context = 'local' } = parts;
  return {
    flags: parts.flags ?? SMTPD_FLAGS,
    records: [
      ['T', '1700000000 5'],
      ['A', `rewrite_context=${context}`],
      ['S', sender],
      ...(parts.envelope ?? []),
      ...recipients.map((recipient): RecordText => ['R', recipient]),
      ['M', ''],
      ['N', 'Received: by hand'],
      ...parts.content.map((line): RecordText => (typeof line === 'string' ? ['N', line] : line)),
      ['X', ''],
      ...(parts.extracted ?? []),
      ['E', ''],
    ],
  };
}
