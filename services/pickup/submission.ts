/**
 * The submission door: `sendmail` of any local user hands a message over on our own socket. The
 * kernel says who it is; the message goes straight to cleanup, and the user hears of success when it
 * is on stable storage. What Postfix needs a set-gid program and a directory for.
 *
 *     C→S  request␀submit␀␀
 *     S→C  protocol␀postdrop_protocol␀queue_id␀4F2B81A03C␀␀
 *     C→S  record stream, as to postdrop(1): ipc.md 3.2
 *     S→C  status␀0␀reason␀␀␀
 *
 * Who is refused gets an empty queue_id, and the status at once.
 */
import { Gate } from '../../lib/async/gate.ts';
import { CLEANUP_STATUS, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { after, now, nowMicroseconds } from '../../lib/clock/clock.ts';
import { announcement } from '../../lib/ipc/attributes.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { descriptorOf } from '../../lib/os/descriptors.ts';
import { lookupUser } from '../../lib/os/identity.ts';
import { peerCredentials } from '../../lib/os/sockets.ts';
import { RECORD, RecordError } from '../../lib/queue/record.ts';
import { RecordParser } from '../../lib/queue/record-parser.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import { newMailFlags } from './cleanup-flags.ts';
import { writeReceived } from './received.ts';
import type { Pickup } from './settings.ts';
import { SubmissionRecords } from './submission-records.ts';

/** How a request for submission begins; no trigger does. */
const REQUEST = Buffer.from('request\0');
const REQUEST_SHAPE = { request: str };

/** Submissions at once; others wait. */
const SLOTS = 100;
/** Of one user: nobody keeps the others out. */
const SLOTS_PER_USER = 20;
const LET_GO_MS = 10_000;
/** Records are handed on in pieces of this size. */
const BATCH_BYTES = 64 * 1024;

interface Reply {
  readonly status: number;
  readonly reason: string;
}

/** Whether a client's first bytes ask for submission. */
export function isSubmission(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, REQUEST.length);
  return length > 0 && bytes.compare(REQUEST, 0, length, 0, length) === 0;
}

export class SubmissionDoor {
  readonly #pickup: Pickup;
  readonly #gate = new Gate(SLOTS);
  readonly #perUser = new Map<number, number>();

  constructor(pickup: Pickup) {
    this.#pickup = pickup;
  }

  /** Serves one client. */
  async serve(connection: IpcConnection): Promise<void> {
    const { uid } = peerCredentials(descriptorOf(connection.socket));
    const request = await connection.receive(REQUEST_SHAPE);
    if (request === undefined) return;
    if (request.request !== 'submit') throw new IpcError('unknown request for pickup');
    const refusal = await this.#refusal(uid);
    if (refusal !== undefined) {
      await connection.send(announcement(PROTOCOLS.postdrop, ['queue_id', '']));
      await send(connection, refusal);
      return;
    }
    const used = this.#perUser.get(uid) ?? 0;
    this.#perUser.set(uid, used + 1);
    try {
      await this.#gate.enter();
      try {
        await this.#take(connection, uid);
      } finally {
        this.#gate.leave();
      }
    } finally {
      const left = (this.#perUser.get(uid) ?? 1) - 1;
      if (left > 0) this.#perUser.set(uid, left);
      else this.#perUser.delete(uid);
    }
  }

  async #refusal(uid: number): Promise<Reply | undefined> {
    const name = lookupUser(uid)?.name ?? 'unknown';
    const { matched } = await this.#pickup.submitters.matchText(name);
    if (!matched) {
      const reason = `User ${name}(${uid}) is not allowed to submit mail`;
      this.#pickup.log.warn(reason);
      return { status: CLEANUP_STATUS.NOPERM, reason };
    }
    if ((this.#perUser.get(uid) ?? 0) < SLOTS_PER_USER) return undefined;
    return { status: CLEANUP_STATUS.DEFER, reason: `too many submissions at once by uid ${uid}` };
  }

  /** A client that is still talking shall hear why nobody listens, before we hang up. */
  async #letGo(connection: IpcConnection): Promise<void> {
    const limit = after(LET_GO_MS, () => connection.abort());
    try {
      await connection.awaitEnd();
    } finally {
      limit.stop();
    }
  }

  async #take(connection: IpcConnection, uid: number): Promise<void> {
    const { cleanup, parameters } = this.#pickup;
    const message = await cleanup.open(newMailFlags(parameters.receive_override_options));
    try {
      await connection.send(announcement(PROTOCOLS.postdrop, ['queue_id', message.queueId]));
      const reply = await new Intake(this.#pickup, message, uid).receive(connection);
      if (reply === undefined) return;
      await send(connection, reply);
      if (reply.status !== 0) await this.#letGo(connection);
    } finally {
      message.abort();
    }
  }
}

function send(connection: IpcConnection, { status, reason }: Reply): Promise<void> {
  return connection.send([
    ['status', status],
    ['reason', reason],
  ]);
}

/** One message on its way from a user to cleanup. */
class Intake {
  readonly #pickup: Pickup;
  readonly #message: CleanupMessage;
  readonly #uid: number;
  readonly #parser: RecordParser;
  readonly #rules: SubmissionRecords;
  readonly #output = new RecordWriter();
  #sender = '';
  #failure: Reply | undefined;

  constructor(pickup: Pickup, message: CleanupMessage, uid: number) {
    this.#pickup = pickup;
    this.#message = message;
    this.#uid = uid;
    this.#rules = new SubmissionRecords(pickup.parameters.line_length_limit);
    this.#parser = new RecordParser(pickup.parameters.line_length_limit);
  }

  /** @returns undefined when the user has cancelled: nothing is left, nobody listens */
  async receive(connection: IpcConnection): Promise<Reply | undefined> {
    this.#begin();
    for (let ended = false; !ended; ) {
      const chunk = await connection.receiveBytes();
      if (chunk === undefined) return undefined;
      ended = this.#takeChunk(chunk);
      if (this.#failure === undefined && (ended || this.#output.pending > BATCH_BYTES)) {
        await this.#message.write(this.#output.take());
      }
    }
    if (this.#failure !== undefined) return this.#failure;
    return this.#message.finish();
  }

  #begin(): void {
    const { content_filter: filter } = this.#pickup.parameters;
    const { seconds, microseconds } = nowMicroseconds();
    this.#output.record(RECORD.time, `${seconds} ${microseconds}`);
    if (filter !== '') this.#output.record(RECORD.filter, filter);
  }

  /** @returns whether the stream has ended, or gone wrong */
  #takeChunk(chunk: Buffer): boolean {
    const parser = this.#parser;
    try {
      parser.push(chunk);
      while (parser.next()) if (this.#takeRecord()) return true;
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      return this.#fail(CLEANUP_STATUS.BAD, 'malformed input');
    }
    return false;
  }

  #takeRecord(): boolean {
    const parser = this.#parser;
    const { type, start, end } = parser;
    const wasContent = this.#rules.inContent;
    const verdict = this.#rules.judge(type, end - start, () => parser.text());
    switch (verdict.kind) {
      case 'refuse':
        return this.#fail(CLEANUP_STATUS.BAD, verdict.why);
      case 'skip':
        if (verdict.warning !== undefined) this.#warn(verdict.warning);
        return false;
      case 'rewrite':
        this.#output.record(type, verdict.text);
        return false;
      default:
    }
    if (type === RECORD.sender) this.#sender = parser.text();
    this.#output.slice(type, parser.bytes, start, end);
    if (!wasContent && this.#rules.inContent) this.#beginContent();
    const { message_size_limit: limit } = this.#pickup.parameters;
    if (limit > 0 && this.#output.offset > limit) {
      return this.#fail(CLEANUP_STATUS.SIZE, '');
    }
    if (verdict.kind !== 'end') return false;
    if (!this.#rules.isWhole) return this.#fail(CLEANUP_STATUS.RCPT, '');
    return true;
  }

  #beginContent(): void {
    const { parameters, log } = this.#pickup;
    const { queueId } = this.#message;
    log.info({ kind: 'pickup', queueId, uid: this.#uid, from: this.#sender });
    writeReceived(this.#output, {
      hostname: parameters.myhostname,
      mailName: parameters.mail_name,
      uid: this.#uid,
      queueId,
      when: now(),
    });
  }

  /** The rest of what the user says is not read: the answer is there before. */
  #fail(status: number, reason: string): true {
    if (reason !== '') this.#warn(reason);
    this.#failure = { status, reason };
    return true;
  }

  #warn(text: string): void {
    this.#pickup.log.warn(`uid=${this.#uid}: ${text}`);
  }
}
