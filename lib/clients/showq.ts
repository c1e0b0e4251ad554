import { IpcConnection } from '../ipc/connection.ts';
import { int, long, str } from '../ipc/fields.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import { TIMEOUT_MS } from './options.ts';

/** One message of the queue, as showq lists it. ipc.md 3.6. */
export interface ListedMessage {
  readonly queueName: string;
  readonly queueId: string;
  /** Seconds since the epoch. */
  readonly arrivalTime: number;
  readonly sizeBytes: number;
  readonly forcedExpire: boolean;
  /** Quoted, as all addresses here. */
  readonly sender: string;
  readonly recipients: readonly ListedRecipient[];
}

export interface ListedRecipient {
  readonly address: string;
  /** Why it waits; '' when nobody has tried yet. */
  readonly reason: string;
}

const MESSAGE = {
  queueName: str.named('queue_name'),
  queueId: str.named('queue_id'),
  arrivalTime: long.named('time'),
  sizeBytes: long.named('size'),
  forcedExpire: int.named('forced_expire'),
  sender: str,
};
const RECIPIENT = { address: str.named('recipient'), reason: str };

/**
 * Lists the queue, message by message, as showq(8) scans it.
 *
 * @throws {IpcError} when showq can't be had, or breaks off
 */
export async function* listQueue(
  path = 'public/showq',
  timeoutMs = TIMEOUT_MS,
): AsyncGenerator<ListedMessage, void, undefined> {
  const connection = await IpcConnection.connect(path, timeoutMs);
  try {
    yield* messagesOf(connection);
  } finally {
    connection.abort();
  }
}

/** The same from a connection that is there already: showq started by hand. */
export async function* messagesOf(
  connection: IpcConnection,
): AsyncGenerator<ListedMessage, void, undefined> {
  await expectProtocol(connection, PROTOCOLS.showq);
  // The end of all is a terminator where a message would begin.
  while (!(await connection.atTerminator())) {
    const message = await connection.receive(MESSAGE, { more: true });
    if (message === undefined) return;
    const recipients: ListedRecipient[] = [];
    while (!(await connection.atTerminator())) {
      const recipient = await connection.receive(RECIPIENT, { more: true });
      if (recipient === undefined) return;
      recipients.push(recipient);
    }
    yield { ...message, forcedExpire: message.forcedExpire !== 0, recipients };
  }
}
