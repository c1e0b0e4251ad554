/** A small message in a queue directory, as cleanup leaves it. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import { formatRecord } from '../../lib/queue/record.ts';

export interface QueuedMessage {
  readonly path: string;
  readonly recipients: readonly Recipient[];
  /** Where the content begins. */
  readonly contentOffset: number;
  /** The types of the recipients' records now: `R`, or `D` once done. */
  marks(): string;
}

/** @param given addresses, or recipients that are more than that */
export function writeMessage(
  path: string,
  given: readonly (string | Partial<Recipient>)[],
  mode = 0o700,
): QueuedMessage {
  const head = [formatRecord('T', '1795301314 646995'), formatRecord('S', 'alice@ipc.example.com')];
  let offset = head.reduce((sum, { length }) => sum + length, 0);
  const recipients = given.map((each): Recipient => {
    const parts = typeof each === 'string' ? { address: each } : each;
    const address = parts.address ?? '';
    const recipient = { original: address, dsnOriginal: '', notify: 0, ...parts, address, offset };
    const record = formatRecord('R', address);
    head.push(record);
    offset += record.length;
    return recipient;
  });
  const tail = [
    ['M', ''],
    ['N', 'Subject: test'],
    ['N', ''],
    ['N', 'Hello'],
    ['X', ''],
    ['E', ''],
  ];
  const records = tail.map(([type = '', data = '']) => formatRecord(type, data));
  writeFileSync(path, Buffer.concat([...head, ...records]));
  chmodSync(path, mode);
  const marks = () => {
    const bytes = readFileSync(path);
    return recipients
      .map((recipient) => String.fromCharCode(bytes[recipient.offset] ?? 0))
      .join('');
  };
  const contentOffset = offset + (records[0]?.length ?? 0);
  return { path, recipients, contentOffset, marks };
}
