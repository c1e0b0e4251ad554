import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MessageSource } from '../../../lib/delivery/message-copy.ts';
import { QueueFile } from '../../../lib/queue/queue-file.ts';
import { RECORD } from '../../../lib/queue/record.ts';
import { RecordWriter } from '../../../lib/queue/record-writer.ts';
import { atEnd } from '../../support/cleanup.ts';

/** A queue file with nothing but content, open for reading. */
export function messageFile(t: TestContext, directory: string, lines: readonly string[]) {
  const path = join(directory, 'message');
  const writer = new RecordWriter();
  for (const line of lines) writer.record(RECORD.text, line);
  writer.record(RECORD.extracted);
  writer.record(RECORD.end);
  writeFileSync(path, writer.take());
  const file = QueueFile.open(path);
  atEnd(t, () => file.close());
  const { fd, sizeBytes } = file;
  const source: MessageSource = { fd, path, sizeBytes, from: 0 };
  return { source, file };
}

/** Opens a file until the test ends. */
export function openForTest(t: TestContext, path: string, flags: string): number {
  const fd = openSync(path, flags);
  atEnd(t, () => closeSync(fd));
  return fd;
}
