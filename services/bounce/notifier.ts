/** Carries out the requests of bounce's clients. */
import { BOUNCE_FLAG } from '../../lib/clients/bounce.ts';
import type { CleanupClient } from '../../lib/clients/cleanup.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import type { Log } from '../../lib/log/log.ts';
import { asciiOnly } from '../../lib/log/printable.ts';
import { type LogPlace, type LogQueue, logSize, readLog, removeLog } from '../../lib/queue/logs.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { Hashing } from '../../lib/queue/queue-path.ts';
import type { Appends } from './appends.ts';
import { sendNotice } from './notice.ts';
import { isQueueName, Original } from './original.ts';
import {
  type Plan,
  type PlannedNotice,
  planDelay,
  planFailure,
  planTrace,
  verpSender,
} from './plan.ts';
import {
  type BounceRequest,
  cleanEntry,
  type Entry,
  type NoticeRequest,
  RequestError,
} from './request.ts';
import type { NoticeSettings } from './settings.ts';

export interface NotifierParts {
  /** Whose logs these are. */
  readonly queue: LogQueue;
  readonly log: Log;
  readonly hashing: Hashing;
  readonly settings: NoticeSettings;
  readonly appends: Appends;
  readonly cleanup: CleanupClient;
}

/** What one request is about, while it is carried out. */
interface Work {
  readonly request: NoticeRequest;
  readonly original: Original | undefined;
  readonly entries: () => Iterable<Entry>;
  /** Whether a notice makes sense without entries: the log is gone. */
  readonly unreadable: boolean;
}

export class Notifier {
  readonly #parts: NotifierParts;

  constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  /** @returns false when the client has to try again later */
  async handle(request: BounceRequest): Promise<boolean> {
    const { flags, queueId } = request.kind === 'append' ? request : request.notice;
    try {
      if (request.kind === 'append') await this.#append(request.queueId, request.entry);
      else if (request.kind === 'one') await this.#one(request.notice, request.entry);
      else if (request.kind === 'verp') await this.#verp(request.notice, request.delimiters);
      else await this.#fromLog(request.kind, request.notice);
      return true;
    } catch (error) {
      if (error instanceof RequestError) throw error;
      this.#parts.log.warn(`${queueId}: ${request.kind} request: ${(error as Error).message}`);
      if ((flags & BOUNCE_FLAG.CLEAN) !== 0) removeLog(this.#place(queueId));
      return false;
    }
  }

  async #append(queueId: QueueId, entry: Entry): Promise<void> {
    await this.#parts.appends.append(this.#place(queueId), entry);
  }

  /** Failure, delay or success: one notice for all recipients in the log. */
  async #fromLog(kind: 'flush' | 'warn' | 'trace', request: NoticeRequest): Promise<void> {
    const { rules } = this.#parts.settings;
    const asked = (request.flags & (DELIVERY_FLAG.USR_VRFY | DELIVERY_FLAG.RECORD)) !== 0;
    const plan =
      kind === 'flush'
        ? planFailure(request.sender, rules)
        : kind === 'warn'
          ? planDelay(request.sender, rules)
          : planTrace(request.sender, asked, rules);
    const place = this.#place(request.queueId);
    using original = this.#open(request);
    await this.#send(plan, this.#workFromLog(request, original));
    if (kind === 'flush') this.#markRecipients(request, original);
    if (kind !== 'warn') removeLog(place);
  }

  /** A mailing list wants to know whom it could not reach: a notice for each of them. */
  async #verp(request: NoticeRequest, delimiters: string): Promise<void> {
    const { rules } = this.#parts.settings;
    using original = this.#open(request);
    const work = this.#workFromLog(request, original);
    for (const entry of work.entries()) {
      const { original: before, address } = entry.recipient;
      const plan = planFailure(request.sender, rules);
      const to = verpSender(request.sender, before || address, delimiters);
      const notices = plan.notices.map((notice) =>
        notice.from === '' ? { ...notice, to } : notice,
      );
      await this.#send(
        { ...plan, notices },
        { ...work, entries: () => [entry], unreadable: false },
      );
    }
    this.#markRecipients(request, original);
    removeLog(this.#place(request.queueId));
  }

  /** A recipient of an alias with an owner: the owner hears at once, without a log. */
  async #one(request: NoticeRequest, entry: Entry): Promise<void> {
    const { queue, settings } = this.#parts;
    if (queue !== 'bounce') {
      throw new RequestError(`wrong service name "${queue}" for one-recipient bouncing`);
    }
    using original = this.#open(request);
    const entries = () => [entry];
    const plan = planFailure(request.sender, settings.rules);
    await this.#send(plan, { request, original, entries, unreadable: false });
  }

  #workFromLog(request: NoticeRequest, original: Original | undefined): Work {
    const place = this.#place(request.queueId);
    const unreadable = logSize(place) === undefined;
    return { request, original, unreadable, entries: () => this.#read(place) };
  }

  /** Without SMTPUTF8 a notice is ASCII, also when the log was written before that was decided. */
  #read(place: LogPlace): Iterable<Entry> {
    const entries = readLog(place);
    return this.#parts.settings.utf8Enabled ? entries : inAscii(entries);
  }

  async #send(plan: Plan, work: Work): Promise<void> {
    const { log } = this.#parts;
    const { queueId } = work.request;
    if (plan.warning !== undefined) log.warn({ kind: 'text', queueId, text: plan.warning });
    if (plan.note !== undefined) log.info({ kind: 'text', queueId, text: plan.note });
    for (const notice of plan.notices) {
      try {
        await this.#sendOne(notice, work);
      } catch (error) {
        if (!notice.copy) throw error;
        log.warn({ kind: 'text', queueId, text: `postmaster copy: ${(error as Error).message}` });
      }
    }
  }

  async #sendOne(plan: PlannedNotice, work: Work): Promise<void> {
    const { log, settings, cleanup } = this.#parts;
    const { request, original } = work;
    const entries = () => wanted(work.entries(), plan.wanted);
    // Nobody wants to hear of any of these recipients.
    if (!work.unreadable && isEmpty(entries())) return;
    const newQueueId = await sendNotice({ plan, request, entries, original }, settings, cleanup);
    const { to, notice } = plan.logged;
    log.info({ kind: 'notification', queueId: request.queueId, to, notice, newQueueId });
  }

  /** qmgr will not look at recipients that are done, should it see this message again. */
  #markRecipients(request: NoticeRequest, original: Original | undefined): void {
    if ((request.flags & BOUNCE_FLAG.DELRCPT) === 0 || original === undefined) return;
    for (const { recipient } of readLog(this.#place(request.queueId))) {
      if (recipient.offset > 0) original.markDone(recipient.offset);
    }
  }

  /** A notice is made even of a message that can't be read: the sender shall know that it failed. */
  #open(request: NoticeRequest): Original | undefined {
    const { log, hashing } = this.#parts;
    const { queueName, queueId } = request;
    if (!isQueueName(queueName)) return undefined;
    try {
      return Original.open(queueName, queueId, hashing);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      if ((error as Error).name !== 'QueueFileError') throw error;
      log.warn({ kind: 'text', queueId, text: (error as Error).message });
      return undefined;
    }
  }

  #place(id: QueueId): LogPlace {
    const { queue, hashing } = this.#parts;
    return { queue, id, hashing };
  }
}

function* inAscii(entries: Iterable<Entry>): Generator<Entry> {
  for (const entry of entries) yield cleanEntry(entry, asciiOnly);
}

/** The entries whose senders want to hear of this; a NOTIFY that was not given wants all. */
function* wanted(entries: Iterable<Entry>, bit: number): Generator<Entry> {
  for (const entry of entries) {
    const { notify } = entry.recipient;
    if (bit === 0 || notify === 0 || (notify & bit) !== 0) yield entry;
  }
}

function isEmpty(entries: Iterable<Entry>): boolean {
  for (const _ of entries) return false;
  return true;
}
