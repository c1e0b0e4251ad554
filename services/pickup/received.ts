/** The Received: header that pickup puts in front. */
import { formatDate } from '../../lib/message/date.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { RecordWriter } from '../../lib/queue/record-writer.ts';

export interface Hop {
  readonly hostname: string;
  readonly mailName: string;
  /** Who submitted it: the number, not the name, which is nobody's business. */
  readonly uid: number;
  readonly queueId: string;
  /** Milliseconds. */
  readonly when: number;
}

export function writeReceived(records: RecordWriter, hop: Hop): void {
  const by = `Received: by ${hop.hostname} (${hop.mailName}, from userid ${hop.uid})`;
  records.record(RECORD.text, by);
  records.record(RECORD.text, `\tid ${hop.queueId}; ${formatDate(hop.when)}`);
}
