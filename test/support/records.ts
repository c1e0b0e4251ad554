/** Records of a queue file, or of what cleanup is told, as texts. */
import { formatRecord, readRecord } from '../../lib/queue/record.ts';

/** One record: its type, and its data as a byte string. */
export type RecordText = readonly [type: string, data: string];

export function toBytes(records: readonly RecordText[]): Buffer {
  return Buffer.concat(
    records.map(([type, data]) => formatRecord(type, Buffer.from(data, 'latin1'))),
  );
}

export function parseRecords(bytes: Buffer): RecordText[] {
  const records: RecordText[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const found = readRecord(bytes, offset);
    if (found === undefined) throw new Error(`record at ${offset} is cut off`);
    records.push([found.record.type, found.record.data.toString('latin1')]);
    offset = found.next;
  }
  return records;
}
