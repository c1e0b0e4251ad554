/**
 * The way in while the mail system runs: pickup's socket. It knows from the kernel who we are.
 * services/pickup/submission.ts has the protocol.
 */
import { lstatSync } from 'node:fs';
import { formatAttributes } from '../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { int, str } from '../../lib/ipc/fields.ts';
import { expectProtocolWith } from '../../lib/ipc/greeting.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { errorText, isSystemError } from '../../lib/os/error.ts';
import { MailSystemDownError, type SubmissionSink } from './submission-sink.ts';

const ANNOUNCEMENT = { protocol: str, queueId: str.named('queue_id') };
const REPLY = { status: int, reason: str };

/**
 * @param path public/pickup
 * @throws {MailSystemDownError} when nobody is there who takes submissions
 */
export async function openDoor(path: string, timeoutMs: number): Promise<SubmissionSink> {
  let connection: IpcConnection | undefined;
  try {
    // Postfix may be set up with a FIFO there, which only takes triggers.
    if (!lstatSync(path).isSocket()) throw new MailSystemDownError(`${path} is no socket`);
    connection = await IpcConnection.connect(path, timeoutMs);
    await connection.send(formatAttributes([['request', 'submit']]));
    const { queueId } = await expectProtocolWith(connection, PROTOCOLS.postdrop, ANNOUNCEMENT);
    return new Door(connection, queueId);
  } catch (error) {
    connection?.abort();
    if (error instanceof MailSystemDownError) throw error;
    const why = isSystemError(error) ? `${path}: ${errorText(error)}` : (error as Error).message;
    throw new MailSystemDownError(why, { cause: error });
  }
}

class Door implements SubmissionSink {
  readonly queueId: string;
  readonly #connection: IpcConnection;

  constructor(connection: IpcConnection, queueId: string) {
    this.#connection = connection;
    this.queueId = queueId;
  }

  async write(records: Buffer): Promise<boolean> {
    // An answer before the end can only be a refusal.
    if (this.queueId === '' || this.#connection.isStale) return false;
    await this.#connection.send(records);
    return true;
  }

  async finish() {
    const reply = await this.#connection.receive(REPLY);
    this.#connection.close();
    if (reply === undefined) throw new IpcError('the mail system went away');
    return reply;
  }

  abort(): void {
    this.#connection.abort();
  }
}
