/** A queue with one message of each kind, as files that Postfix or we could have written. */
import { chmodSync, chownSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lookupUser } from '../../../lib/os/users.ts';
import { formatLogEntry } from '../../../lib/queue/log-entry.ts';
import { formatRecord } from '../../../lib/queue/record.ts';
import { formatSize } from '../../../lib/queue/size-record.ts';

/** Saturday, 21 November 2026, 22:40:00 UTC. */
export const ARRIVAL = 1_795_300_800;

interface SampleMessage {
  readonly queue: string;
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Why each waits, by recipient. */
  readonly reasons?: Readonly<Record<string, string>>;
  readonly mode?: number;
  readonly sizeBytes?: number;
}

/** Writes a message, and its defer log, below the queue directory. */
export function writeMessage(queueDirectory: string, message: SampleMessage): string {
  const { queue, id, sender, recipients, reasons = {}, mode = 0o700 } = message;
  const stored = message.sizeBytes ?? 300;
  const envelope = (contentOffset: number) => {
    const size = formatSize({
      storedBytes: stored,
      contentOffset,
      recipientCount: recipients.length,
      flags: 0,
      contentBytes: stored,
      sendOptions: 0,
    });
    return Buffer.concat([
      formatRecord('C', size),
      formatRecord('T', `${ARRIVAL} 123456`),
      formatRecord('S', sender),
      ...recipients.map((recipient) => formatRecord('R', recipient)),
      formatRecord('M', ''),
    ]);
  };
  const file = Buffer.concat([
    envelope(envelope(1).length),
    contentOf(stored),
    formatRecord('X', ''),
    formatRecord('E', ''),
  ]);
  const path = place(queueDirectory, queue, id);
  writeFileSync(path, file);
  if (Object.keys(reasons).length > 0) {
    const entries = Object.entries(reasons).map(([address, reason]) => {
      const recipient = { original: '', address, offset: -1, dsnOriginal: '', notify: 0 };
      const nothing = { diagType: '', diagText: '', mtaType: '', mtaName: '' };
      const detail = { status: '4.4.1', action: 'delayed', reason, ...nothing };
      return formatLogEntry({ recipient, detail }, true);
    });
    writeFileSync(place(queueDirectory, 'defer', id), entries.join(''), { mode: 0o600 });
    own(place(queueDirectory, 'defer', id));
  }
  own(path);
  chmodSync(path, mode);
  utimesSync(path, ARRIVAL + 600, ARRIVAL + 600);
  return path;
}

/** One line whose record has just that many bytes. */
function contentOf(bytes: number): Buffer {
  const header = formatRecord('N', 'x'.repeat(bytes)).length - bytes;
  const record = formatRecord('N', 'x'.repeat(bytes - header));
  return record.length === bytes ? record : formatRecord('N', 'x'.repeat(bytes - header + 1));
}

function place(queueDirectory: string, queue: string, id: string): string {
  const hashed = queue === 'deferred' || queue === 'defer';
  const folder = join(queueDirectory, queue, ...(hashed ? [id.charAt(0)] : []));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  own(folder);
  return join(folder, id);
}

/** Daemons run as mail_owner when the tests run as root. */
function own(path: string): void {
  const user = process.getuid?.() === 0 ? lookupUser('postfix') : undefined;
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}
