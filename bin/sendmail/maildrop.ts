/**
 * The way in while the mail system is down: a file in maildrop, which pickup finds when it starts.
 * Only who may write there, root as a rule, can use it: there is no set-gid program.
 */
import { accessSync, chownSync, constants } from 'node:fs';
import { CLEANUP_STATUS } from '../../lib/clients/cleanup.ts';
import { trigger } from '../../lib/clients/trigger.ts';
import { nowMicroseconds } from '../../lib/clock/clock.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { errorText } from '../../lib/os/error.ts';
import { lookupGroup } from '../../lib/os/identity.ts';
import { createQueueFile, type NewQueueFile } from '../../lib/queue/new-file.ts';
import { DEFAULT_HASHING } from '../../lib/queue/queue-path.ts';
import { formatRecord, RECORD } from '../../lib/queue/record.ts';
import type { SubmissionResult, SubmissionSink } from './submission-sink.ts';

/** While it is written, and when it is complete: pickup runs as another user, and reads it. */
const WRITING_MODE = 0o644;
const READY_MODE = 0o744;

/** Whether this user may put files there. The working directory is queue_directory. */
export function canUseMaildrop(): boolean {
  try {
    accessSync('maildrop', constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @throws {FatalError} when no file can be made: the disk is full */
export async function openMaildrop(
  configuration: Configuration,
  onWarning: (text: string) => void,
): Promise<SubmissionSink> {
  const file = await createFile(configuration);
  try {
    return new MaildropFile(file, configuration, onWarning);
  } catch (error) {
    file.discard();
    throw new FatalError(`write ${file.path}: ${errorText(error)}`);
  }
}

async function createFile(configuration: Configuration): Promise<NewQueueFile> {
  try {
    return await createQueueFile('maildrop', {
      long: configuration.get('enable_long_queue_ids'),
      hashing: DEFAULT_HASHING,
      mode: WRITING_MODE,
    });
  } catch (error) {
    throw new FatalError(`create queue file in maildrop: ${errorText(error)}`);
  }
}

class MaildropFile implements SubmissionSink {
  readonly queueId: string;
  readonly #file: NewQueueFile;
  readonly #configuration: Configuration;
  readonly #onWarning: (text: string) => void;
  readonly #limit: number;
  #failure: SubmissionResult | undefined;

  constructor(file: NewQueueFile, configuration: Configuration, onWarning: (text: string) => void) {
    this.#file = file;
    this.#configuration = configuration;
    this.#onWarning = onWarning;
    this.#limit = configuration.get('message_size_limit');
    this.queueId = file.id;
    const { seconds, microseconds } = nowMicroseconds();
    file.writeAt(this.#own(formatRecord(RECORD.time, `${seconds} ${microseconds}`)), 0);
  }

  /** Counts bytes that are written by themselves. */
  #own(bytes: Buffer): Buffer {
    this.#file.sizeBytes += bytes.length;
    return bytes;
  }

  async write(records: Buffer): Promise<boolean> {
    if (this.#limit > 0 && this.#file.sizeBytes + records.length > this.#limit) {
      this.#onWarning(`uid=${process.getuid?.()}: File too large`);
      this.#failure = { status: CLEANUP_STATUS.SIZE, reason: '' };
      return false;
    }
    try {
      await this.#file.write(records);
      return true;
    } catch (error) {
      return this.#fail(error);
    }
  }

  async finish(): Promise<SubmissionResult> {
    if (this.#failure === undefined) {
      try {
        this.#giveToGroup();
        await this.#file.commit(READY_MODE);
      } catch (error) {
        this.#fail(error);
      }
    }
    if (this.#failure !== undefined) {
      this.abort();
      return this.#failure;
    }
    await this.#wakePickup();
    return { status: 0, reason: '' };
  }

  abort(): void {
    this.#file.discard();
  }

  #fail(error: unknown): false {
    this.#onWarning(`write ${this.#file.path}: ${errorText(error)}`);
    this.#failure = { status: CLEANUP_STATUS.WRITE, reason: '' };
    return false;
  }

  /** As a set-gid postdrop would leave it. */
  #giveToGroup(): void {
    const group = lookupGroup(this.#configuration.get('setgid_group'));
    if (process.geteuid?.() === 0 && group !== undefined) chownSync(this.#file.path, 0, group.gid);
  }

  async #wakePickup(): Promise<void> {
    const path = `public/${this.#configuration.get('pickup_service_name')}`;
    if (await trigger(path, 'W', this.#configuration.get('trigger_timeout'))) return;
    this.#onWarning(`unable to look up ${path}: No such file or directory`);
  }
}
