/**
 * One message on its way into the queue: what is known of it so far. The parts that read the
 * envelope, the content and what follows it share this.
 */

import type { BounceClient } from '../../lib/clients/bounce.ts';
import type { VerifyClient } from '../../lib/clients/verify.ts';
import { now } from '../../lib/clock/clock.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import type { LogEvent } from '../../lib/log/event.ts';
import type { Log } from '../../lib/log/log.ts';
import { toLogText } from '../../lib/message/byte-string.ts';
import type { CheckAnswers } from '../../lib/message/check-answers.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';
import type { NewQueueFile } from '../../lib/queue/new-file.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { SizeRecord } from '../../lib/queue/size-record.ts';
import type { LookupThreads } from '../../lib/table/lookup-threads.ts';
import { DuplicateFilter } from './duplicate-filter.ts';
import type { Hook, Hooks } from './hooks.ts';
import { placeHook } from './hooks.ts';
import type { MessageMilters, MilterOptions } from './milters.ts';
import { QueueOutput } from './output.ts';
import { FLAG, INCOMPLETE, STATUS } from './protocol.ts';
import type { Rewriting } from './rewriting.ts';
import type { Settings } from './settings.ts';

/** Room for milters' changes to a message, on top of what message_size_limit leaves. */
const EDITS_BYTES_MIN = 1024 * 1024;

/** Bits of the size record's last field. queue.md 3.5. */
export const SEND_OPTION = { smtputf8: 1, utf8Header: 2, utf8Sender: 4 } as const;

/** What cleanup works with, the same for all messages. */
export interface Surroundings {
  readonly settings: Settings;
  readonly rewriting: Rewriting;
  readonly bounce: BounceClient;
  readonly verify: VerifyClient;
  readonly log: Log;
  /** For checks that may take long; none when no table is such. */
  readonly checkThreads: LookupThreads | undefined;
  readonly milters: MilterOptions;
}

export class Message {
  readonly id: string;
  readonly file: NewQueueFile;
  readonly surroundings: Surroundings;
  readonly settings: Settings;
  readonly output: QueueOutput;
  readonly duplicates: DuplicateFilter;

  /** What the client asked for, and what rules have added. */
  flags: number;
  /** Everything that is wrong: bits of STATUS. */
  errors = 0;
  /** Why, for the client; '' when the status says it all. */
  reason = '';

  /** Internal form, a byte string like all text here; undefined before it is known. */
  sender: string | undefined;
  /** The last recipient: for log lines, and to know that there is one. */
  recipient: string | undefined;
  fullName: string | undefined;
  arrivalSeconds = 0;
  arrivalMicroseconds = 0;
  envelopeId = '';
  returnFlags = 0;
  traceFlags = 0;
  verpDelimiters = '';
  readonly attributes = new Map<string, string>();
  /** Which rules headers are completed by; undefined: they are not touched. */
  headerContext: 'local' | 'remote' | undefined = 'local';

  /** Bits of SIZE_FLAGS. */
  sizeFlags = 0;
  sendOptions: number;
  recipientCount = 0;
  contentOffset = 0;
  extractedOffset = 0;
  /** The end record has come. */
  complete = false;

  /** Recipients in the file, when we may have to return the message ourselves. */
  readonly written: Recipient[] = [];
  /** Who filters it; undefined: smtpd has not said anything, and there are none of ours. */
  milters: MessageMilters | undefined;
  /** Where milters' changes begin; undefined when there can be none. */
  hooks: Hooks | undefined;
  /** Bytes of the content after changes; undefined: as they were. */
  contentBytes: number | undefined;
  #sizeLimit: number;

  /** Answers to checks, fetched ahead, when they come from threads. */
  answers: CheckAnswers | undefined;

  /** What header_checks asked for. */
  filter = '';
  redirect = '';
  readonly checkBcc: string[] = [];

  constructor(file: NewQueueFile, flags: number, surroundings: Surroundings) {
    this.file = file;
    this.id = file.id;
    this.flags = flags;
    this.surroundings = surroundings;
    this.settings = surroundings.settings;
    this.output = new QueueOutput(file, this.settings.parameters.line_length_limit);
    this.duplicates = new DuplicateFilter(this.settings.parameters.duplicate_filter_limit);
    this.#sizeLimit = this.settings.parameters.message_size_limit;
    if (surroundings.milters.own.length > 0) this.hooks = {};
    this.sendOptions = this.has(FLAG.SMTPUTF8) ? SEND_OPTION.smtputf8 : 0;
  }

  /** Whether writing still makes sense. A bad message that we return ourselves is kept whole. */
  get writes(): boolean {
    const counting = (this.flags & FLAG.BOUNCE) !== 0 ? INCOMPLETE : ~0;
    return (this.errors & counting) === 0 && (this.flags & FLAG.DISCARD) === 0;
  }

  /** Seconds since it arrived. */
  get ageSeconds(): number {
    const arrival = this.arrivalSeconds * 1000 + this.arrivalMicroseconds / 1000;
    return Math.max(0, (now() - arrival) / 1000);
  }

  /** What the queue file begins with. */
  get size(): SizeRecord {
    const bytes = this.extractedOffset - this.contentOffset;
    return {
      storedBytes: bytes,
      contentOffset: this.contentOffset,
      recipientCount: this.recipientCount,
      flags: this.sizeFlags,
      contentBytes: this.contentBytes ?? bytes,
      sendOptions: this.sendOptions,
    };
  }

  /** UTF-8 was found: which option of the size record tells of it. */
  noteUtf8(option: number): void {
    if (!this.settings.parameters.smtputf8_enable) return;
    this.sendOptions |= option;
    if (this.has(FLAG.AUTOUTF8)) this.sendOptions |= SEND_OPTION.smtputf8;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Adds a record to the queue file. */
  put(type: string, text = ''): void {
    if (!this.writes) return;
    this.output.record(type, text);
    this.checkSize();
  }

  attribute(name: string, value: string | number): void {
    this.put(RECORD.attribute, `${name}=${value}`);
  }

  /** Leaves a place for changes. */
  placeHook(): Hook {
    const hook = placeHook(this.output);
    this.checkSize();
    return hook;
  }

  /** From here on what is written replaces what was: that takes room, too, but not without end. */
  beginEdits(): void {
    this.#sizeLimit *= 2;
    if (this.#sizeLimit > 0) this.#sizeLimit += EDITS_BYTES_MIN;
  }

  checkSize(): void {
    const limit = this.#sizeLimit;
    if (limit === 0 || this.output.offset <= limit || (this.errors & STATUS.SIZE) !== 0) return;
    this.warn('queue file size limit exceeded');
    this.fail(STATUS.SIZE);
  }

  /** Writes what has piled up; a full disk is the client's to hear of, not ours to die of. */
  async flush(): Promise<void> {
    if (!this.writes) return;
    try {
      await this.output.flush();
    } catch (error) {
      this.writeFailed(error);
    }
  }

  writeFailed(error: unknown): void {
    if (isErrno(error, 'EFBIG')) {
      this.warn('queue file size limit exceeded');
      this.fail(STATUS.SIZE);
    } else {
      this.warn(`write queue file: ${errorText(error)}`);
      this.fail(STATUS.WRITE);
    }
  }

  fail(status: number, reason?: string): void {
    this.errors |= status;
    if (reason !== undefined) this.reason = reason;
  }

  /** The client broke the rules of the record stream. */
  reject(why: string): void {
    this.warn(`message rejected: ${why}`);
    this.fail(STATUS.BAD);
  }

  warn(text: string): void {
    this.surroundings.log.warn({ kind: 'text', queueId: this.id, text: toLogText(text) });
  }

  info(event: LogEvent): void {
    this.surroundings.log.info(event);
  }
}
