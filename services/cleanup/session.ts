/**
 * One client of cleanup: for each message it gets a queue id, sends records, and is told what became
 * of it, when that is on stable storage. Start here to see a message go through.
 */

import type { TriggerClient } from '../../lib/clients/trigger.ts';
import { sleep } from '../../lib/clock/clock.ts';
import { announcement } from '../../lib/ipc/attributes.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { int } from '../../lib/ipc/fields.ts';
import { keepingReply } from '../../lib/ipc/keep.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';
import type { Journal } from '../../lib/queue/journal.ts';
import { createQueueFile, type NewQueueFile } from '../../lib/queue/new-file.ts';
import { RECORD, RecordError } from '../../lib/queue/record.ts';
import { RecordParser } from '../../lib/queue/record-parser.ts';
import { ContentReader } from './content.ts';
import { EnvelopeReader } from './envelope.ts';
import { LookAhead } from './look-ahead.ts';
import { Message, type Surroundings } from './message.ts';
import { MessageMilters } from './milters.ts';
import { CANNOT_BOUNCE, FLAG, STATUS } from './protocol.ts';
import { returnToSender } from './return-to-sender.ts';
import { removeStaleLogs } from './stale-logs.ts';

export interface SessionOptions extends Surroundings {
  /** Wakes qmgr up. */
  readonly qmgr: TriggerClient;
  readonly flow: { takeToken(): boolean; putTokens(count: number): void };
  /** Without it each message is synced by itself. */
  readonly journal: Journal | undefined;
  /** Connections are not to be kept: we are leaving. */
  readonly stopping: AbortSignal;
}

const FLAGS = { flags: int };
/** Too many files are open for a while: Postfix, too, waits before it tries again. */
const CREATE_RETRY_MS = 10_000;
/** Larger records than this are no mail: a header line is cut into pieces by whoever sends it. */
const RECORD_BYTES_MAX = 1024 * 1024;

/** Serves a client until it leaves. */
export async function serveClient(
  connection: IpcConnection,
  options: SessionOptions,
): Promise<void> {
  let file: NewQueueFile | undefined = await openFile(options);
  let waiting = false;
  const leave = () => {
    if (waiting) connection.close();
  };
  options.stopping.addEventListener('abort', leave);
  try {
    await connection.send(announcement(PROTOCOLS.cleanup, ['queue_id', file.id]));
    for (;;) {
      waiting = file === undefined && !connection.hasInput;
      const request = await connection.receive(FLAGS);
      waiting = false;
      if (request === undefined) return;
      if (file === undefined) {
        // A kept connection: the next message is announced when it is asked for.
        file = await openFile(options);
        await connection.send(announcement(PROTOCOLS.cleanup, ['queue_id', file.id]));
      }
      const message = new Message(file, request.flags, options);
      try {
        const received = await new MessageReader(message, connection).receive();
        if (!received) return;
        await finish(message, options);
      } finally {
        message.milters?.close();
      }
      file = undefined;
      const reply = [
        ['status', message.errors],
        ['reason', message.reason],
      ] as const;
      if (options.stopping.aborted) return connection.send(reply);
      await connection.send(keepingReply(reply));
    }
  } finally {
    options.stopping.removeEventListener('abort', leave);
    file?.discard();
  }
}

async function openFile({ settings, flow, log, journal }: SessionOptions): Promise<NewQueueFile> {
  const { parameters, hashing } = settings;
  if (parameters.in_flow_delay > 0 && !flow.takeToken()) {
    await sleep(parameters.in_flow_delay * 1000);
  }
  for (;;) {
    try {
      const file = await createQueueFile('incoming', {
        long: parameters.enable_long_queue_ids,
        hashing,
        journal,
      });
      removeStaleLogs(file.id, hashing);
      return file;
    } catch (error) {
      const text = `create queue file in incoming: ${errorText(error)}`;
      // The client is told to come back, rather than to wait for space.
      if (!isErrno(error, 'EMFILE', 'ENFILE')) throw new Error(text, { cause: error });
      log.warn(text);
      await sleep(CREATE_RETRY_MS);
    }
  }
}

/** Reads the record stream of one message. */
class MessageReader {
  readonly #message: Message;
  readonly #envelope: EnvelopeReader;
  readonly #content: ContentReader;
  readonly #parser = new RecordParser(RECORD_BYTES_MAX);
  readonly #lookAhead: LookAhead | undefined;
  readonly #connection: IpcConnection;
  #stage: 'envelope' | 'content' | 'extracted' = 'envelope';
  #ended = false;

  constructor(message: Message, connection: IpcConnection) {
    this.#message = message;
    this.#connection = connection;
    this.#envelope = new EnvelopeReader(message);
    this.#content = new ContentReader(message);
    const { checkThreads } = message.surroundings;
    if (checkThreads !== undefined && message.has(FLAG.FILTER)) {
      this.#lookAhead = new LookAhead(message, checkThreads, RECORD_BYTES_MAX);
    }
  }

  /** @returns false when the client went away, or did what no client of ours does */
  async receive(): Promise<boolean> {
    const message = this.#message;
    const connection = this.#connection;
    while (!this.#ended) {
      const chunk = await connection.receiveBytes();
      if (chunk === undefined) return false;
      this.#parser.push(chunk);
      try {
        if (this.#lookAhead !== undefined && message.writes) await this.#lookAhead.push(chunk);
        if (!(await this.#take())) return false;
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        message.reject(error.message);
        return false;
      }
      if (message.output.mustFlush) await message.flush();
    }
    connection.unread(this.#parser.takeRest());
    return true;
  }

  /** Takes the records that are there. */
  async #take(): Promise<boolean> {
    const parser = this.#parser;
    while (!this.#ended && parser.next()) {
      if (this.#stage === 'content' && this.#message.writes && !this.#content.skim(parser)) break;
      const { type } = parser;
      const data = parser.bytes.toString('latin1', parser.start, parser.end);
      if (type === RECORD.milterCount) {
        await this.#receiveMilters(data);
      } else if (!this.#message.writes) {
        // Something is wrong: the client is told when it has said everything.
        this.#ended = type === RECORD.end;
      } else {
        const pending = this.#record(type, data);
        // Most records need nobody: to wait for each would cost more than to handle it.
        if (pending !== undefined) await pending;
      }
    }
    return true;
  }

  #record(type: string, data: string): Promise<void> | undefined {
    const message = this.#message;
    if (type === RECORD.pointer || type === RECORD.padding) {
      message.warn(`record type ${type.charCodeAt(0)} not allowed - discarding this message`);
      message.fail(STATUS.BAD);
      return undefined;
    }
    const pending = this.#dispatch(type, data);
    if (type === RECORD.end) this.#ended = true;
    return pending === undefined ? undefined : this.#settle(pending);
  }

  /** Another service may fail us: then the message is not taken now. */
  async #settle(pending: Promise<void>): Promise<void> {
    const message = this.#message;
    try {
      await pending;
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      message.warn(error.message);
      message.fail(STATUS.WRITE);
    }
  }

  #dispatch(type: string, data: string): Promise<void> | undefined {
    const message = this.#message;
    switch (this.#stage) {
      case 'envelope': {
        const pending = this.#envelope.envelope(type, data);
        if (type === RECORD.message && message.writes) this.#beginContent();
        return pending;
      }
      case 'content':
        if (type !== RECORD.extracted) return this.#content.record(type, data);
        return this.#endContent();
      case 'extracted':
        return this.#envelope.extracted(type, data);
    }
  }

  #beginContent(): void {
    const message = this.#message;
    if (message.hooks !== undefined) message.hooks.recipients ??= message.placeHook();
    message.put(RECORD.message);
    message.contentOffset = message.output.offset;
    this.#stage = 'content';
  }

  async #endContent(): Promise<void> {
    const message = this.#message;
    await this.#content.end();
    // A body may end here that another has taken the place of.
    if (message.hooks !== undefined) message.placeHook();
    message.extractedOffset = message.output.offset;
    message.put(RECORD.extracted);
    this.#envelope.beginExtracted();
    this.#stage = 'extracted';
  }

  /** What follows the record is no record stream until the milters are ours. @throws {IpcError} */
  async #receiveMilters(data: string): Promise<void> {
    const message = this.#message;
    const count = Number.parseInt(data, 10) || 0;
    message.hooks ??= {};
    message.milters?.close();
    if (count > 0) this.#connection.unread(this.#parser.takeRest());
    message.milters = await MessageMilters.receive(message, this.#connection, count);
  }
}

/** Everything has come: decides, and brings the message to stable storage or removes it. */
async function finish(message: Message, { qmgr, flow }: SessionOptions): Promise<void> {
  const { settings, file } = message;
  if (message.writes && message.recipient === undefined) message.fail(STATUS.RCPT);
  if (message.writes && !message.complete) message.fail(STATUS.BAD);
  if (message.has(FLAG.DISCARD)) message.errors = 0;
  await message.milters?.inspect();
  const returns = message.has(FLAG.BOUNCE) && message.sender !== undefined;
  if (message.errors !== 0 && returns && (message.errors & CANNOT_BOUNCE) === 0) {
    await message.flush();
    await returnToSender(message);
  }
  if (message.errors !== 0 || message.has(FLAG.DISCARD)) {
    removeStaleLogs(file.id, settings.hashing);
    file.discard();
    return;
  }
  const held = message.has(FLAG.HOLD);
  try {
    if (held) file.moveTo('hold');
    await message.output.finish(message.size);
    await file.commit();
  } catch (error) {
    file.discard();
    message.writeFailed(error);
    return;
  }
  if (held) flow.putTokens(1);
  else qmgr.trigger('W');
}
