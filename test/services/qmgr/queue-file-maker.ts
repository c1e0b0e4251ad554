/** Makes queue files as cleanup does. */
import { chmodSync, chownSync, statSync, utimesSync } from 'node:fs';
import { nowMicroseconds } from '../../../lib/clock/clock.ts';
import { createQueueFile } from '../../../lib/queue/new-file.ts';
import { DEFAULT_HASHING, type QueueName } from '../../../lib/queue/queue-path.ts';
import { formatRecord, RecordWriter } from '../../../lib/queue/record.ts';
import { formatSize } from '../../../lib/queue/size-record.ts';

export interface NewMessage {
  readonly queue?: QueueName;
  readonly sender?: string;
  readonly recipients: readonly (string | { readonly address: string; readonly notify: number })[];
  /** Further attributes of the envelope. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Further records of the envelope, as type and data. */
  readonly records?: readonly (readonly [string, string])[];
  /** Records after the content. */
  readonly extracted?: readonly (readonly [string, string])[];
  /** Seconds since it was created. */
  readonly age?: number;
  /** Seconds until the sender is to be warned. */
  readonly warnIn?: number;
  /** Seconds from now: mtime. */
  readonly due?: number;
  readonly mode?: number;
  readonly body?: string;
}

/** Writes a message, and says its id. */
export async function makeMessage(directory: string, message: NewMessage): Promise<string> {
  const file = await createQueueFile(message.queue ?? 'incoming', {
    long: false,
    hashing: DEFAULT_HASHING,
    directory,
  });
  const { seconds, microseconds } = nowMicroseconds();
  const created = seconds - (message.age ?? 0);
  const writer = new RecordWriter();
  writer.record('C', ' '.repeat(95));
  writer.record('T', `${created} ${microseconds}`);
  writer.record('A', `create_time=${created}`);
  writer.record('A', `log_ident=${file.id}`);
  for (const [name, value] of Object.entries(message.attributes ?? {})) {
    writer.record('A', `${name}=${value}`);
  }
  writer.record('S', message.sender ?? 'sender@client.test');
  for (const [type, data] of message.records ?? []) writer.record(type, data);
  if (message.warnIn !== undefined) {
    writer.record('W', String(seconds + message.warnIn).padStart(15));
  }
  let flags = 0;
  for (const recipient of message.recipients) {
    const { address, notify } =
      typeof recipient === 'string' ? { address: recipient, notify: 0 } : recipient;
    if (notify !== 0) writer.record('A', `notify_flags=${notify}`);
    flags |= notify << 1;
    writer.record('A', `dsn_orig_rcpt=rfc822;${address}`);
    writer.record('O', address);
    writer.record('R', address);
  }
  writer.record('M');
  const contentOffset = writer.offset;
  for (const line of ['Received: by hand', 'Subject: test', '', message.body ?? 'hello']) {
    writer.record('N', line);
  }
  const storedBytes = writer.offset - contentOffset;
  writer.record('X');
  for (const [type, data] of message.extracted ?? []) writer.record(type, data);
  writer.record('E');
  const size = {
    storedBytes,
    contentOffset,
    recipientCount: message.recipients.length,
    flags,
    contentBytes: storedBytes,
    sendOptions: 0,
  };
  await file.write(writer.take());
  file.writeAt(formatRecord('C', formatSize(size)), 0);
  const { uid, gid } = statSync(directory);
  if (uid !== process.getuid?.()) chownSync(file.path, uid, gid);
  await file.commit();
  if (message.mode !== undefined) chmodSync(file.path, message.mode);
  if (message.due !== undefined) {
    utimesSync(file.path, seconds + message.due, seconds + message.due);
  }
  return file.id;
}
