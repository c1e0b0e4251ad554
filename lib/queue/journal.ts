/**
 * The journal: new messages of one process go to stable storage together. The queue file of each is
 * written as ever, and left to the file system to bring to the disk; a copy of the message goes into
 * the journal, and one sync of that serves all who wait. Most messages are delivered before their
 * queue file has to be synced at all. After a crash of the machine, journal-recovery.ts makes the
 * queue files from the journal that the disk does not have.
 *
 * Invariant: a message that was answered for is in a segment that is on stable storage, until its
 * queue file is, or has been removed by whoever delivered it.
 */
import { closeSync, fstatSync, mkdirSync, openSync, unlinkSync, writevSync } from 'node:fs';
import { Gate } from '../async/gate.ts';
import { every, monotonic, type Timer } from '../clock/clock.ts';
import { isErrno } from '../os/error.ts';
import { flock } from '../os/locks.ts';
import { commit, commitData, commitSync } from './commit.ts';
import { formatEntry } from './journal-entry.ts';
import { familyName, JOURNAL_FOLDER } from './journal-folder.ts';
import { hasOneName, type SpareFile, SpareFiles } from './spare-files.ts';

/** A longer message is synced by itself. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** A segment is used again when it is full and nobody needs it: overwriting is cheap, growing is not. */
const SEGMENT_BYTES = 2 * 1024 * 1024;
const SEGMENTS_MAX = 8;
/** writev(2) takes 1,024 pieces: a message is four. */
const BATCH_MAX = 250;
/** Messages that are still there after this get a sync of their own. */
const PATIENCE_MS = 5000;
const SWEEP_MS = 1000;
const SYNCS_AT_ONCE = 4;
/** With fewer messages to hold than this, a new queue file costs nobody time. */
const BUSY_MIN = 8;
/** How many messages are looked at for one that is gone. */
const LOOKS_MAX = 4;

export interface JournalOptions {
  /** Which start of the machine this is: lib/os/boot.ts. */
  readonly boot: string;
  /** How many queue files may be held open. */
  readonly heldMax: number;
  readonly warn: (text: string) => void;
}

/** A queue file that is written; its descriptor is the journal's from now on. */
export interface WrittenFile {
  readonly fd: number;
  readonly path: string;
  readonly bytes: Buffer;
  /**
   * Lets others see a message in it: last of all, since whoever is killed before could not answer for
   * the message, and its client will bring it again.
   */
  readonly complete: () => void;
  /** That it is to be used again. */
  readonly spare?: SpareFile | undefined;
}

interface Waiting extends WrittenFile {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A message that the journal answers for. */
interface Held extends Pick<WrittenFile, 'fd' | 'path' | 'spare'> {
  readonly sequence: number;
  readonly segment: Segment;
  readonly since: number;
}

/** One file of the journal. It is locked while its process lives. */
interface Segment {
  readonly fd: number;
  readonly path: string;
  generation: number;
  position: number;
  /** How many messages in it are held. */
  needed: number;
  isRemoved: boolean;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #family = familyName();
  readonly #spares: SpareFiles;
  readonly #segments: Segment[] = [];
  #created = 0;
  #current: Segment | undefined;
  #waiting: Waiting[] = [];
  #held: Held[] = [];
  #settled: number[] = [];
  #sequence = 0;
  #generation = 0;
  /** Queue files that are being synced after all. */
  readonly #settling = new Set<Promise<void>>();
  readonly #syncs = new Gate(SYNCS_AT_ONCE);
  #writing: Promise<void> | undefined;
  #sweeper: Timer | undefined;
  /** It can't be written, or is closed: every file gets its own sync. */
  #isOut = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#spares = new SpareFiles(this.#family, options.warn);
  }

  /** Whether it would take a message of this size now. */
  takes(bytes: number): boolean {
    const held = this.#held.length + this.#settling.size + this.#waiting.length;
    return !this.#isOut && bytes <= MESSAGE_BYTES_MAX && held < this.#options.heldMax;
  }

  /**
   * Brings a message to stable storage, together with others.
   *
   * @throws as fsync(2): the message is not safe, and the file still the caller's
   */
  append(file: WrittenFile): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...file, resolve, reject });
      this.#write();
    });
  }

  /** An empty file for the next message: that of a message that is gone. */
  takeSpare(): SpareFile | undefined {
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const held = this.#held.shift();
      if (held === undefined) break;
      if (!isGone(held)) this.#held.push(held);
      else if (this.#settleGone(held)) break;
    }
    return this.#spares.take();
  }

  /** Where there is much to do, a new queue file is to be used again. */
  adopt(fd: number, inode: number, path: string): SpareFile | undefined {
    if (this.#isOut || this.#held.length < BUSY_MIN) return undefined;
    return this.#spares.adopt(fd, inode, path);
  }

  /** The file has only its name in the queue from now on, and the caller answers for it. */
  release(spare: SpareFile): void {
    this.#spares.release(spare);
  }

  /** Brings all queue files to stable storage, and leaves nothing behind. */
  async close(): Promise<void> {
    this.#isOut = true;
    this.#sweeper?.stop();
    await this.#writing;
    this.#sweep(0);
    await Promise.all(this.#settling);
    this.#spares.close();
    for (const segment of this.#segments) this.#removeUnneeded(segment);
  }

  /** Whoever comes while a batch is being synced is in the next. */
  #write(): void {
    this.#writing ??= this.#writeBatches().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeBatches(): Promise<void> {
    while (this.#waiting.length + this.#settled.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      const settled = this.#settled.splice(0);
      if (batch.length === 0 && this.#isIdle) {
        await this.#forgetAll();
        continue;
      }
      const held = await this.#writeBatch(batch, settled);
      if (held === undefined) await Promise.all(batch.map((file) => this.#syncAlone(file)));
      else this.#hold(batch, held);
    }
  }

  get #isIdle(): boolean {
    return this.#held.length + this.#settling.size === 0;
  }

  /** Nothing in the journal is needed: says so in each segment, for however long nobody writes. */
  async #forgetAll(): Promise<void> {
    try {
      for (const segment of this.#segments) {
        if (segment.position === 0) continue;
        this.#begin(segment);
        const start = { kind: 'start', boot: this.#options.boot } as const;
        writeAll(segment, formatEntry(start, segment.generation));
        segment.position = 0;
        await commitData(segment.fd);
      }
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** @returns what is held from now on; undefined when the journal can't have it */
  async #writeBatch(
    batch: readonly Waiting[],
    settled: readonly number[],
  ): Promise<Held[] | undefined> {
    if (this.#isOut) return undefined;
    let segment: Segment | undefined;
    try {
      segment = this.#segmentFor(batch.reduce((sum, { bytes }) => sum + bytes.length, 0));
      if (segment === undefined) return undefined;
      segment.needed += batch.length;
      const { generation } = segment;
      const pieces: Buffer[] = [];
      if (segment.position === 0) {
        pieces.push(...formatEntry({ kind: 'start', boot: this.#options.boot }, generation));
      }
      if (settled.length > 0) {
        pieces.push(...formatEntry({ kind: 'settled', sequences: settled }, generation));
      }
      const since = monotonic();
      const held: Held[] = [];
      for (const { fd, path, bytes, spare } of batch) {
        this.#sequence += 1;
        const sequence = this.#sequence;
        pieces.push(...formatEntry({ kind: 'message', sequence, path, bytes }, generation));
        held.push({ fd, path, spare, sequence, segment, since });
      }
      writeAll(segment, pieces);
      await commitData(segment.fd);
      return held;
    } catch (error) {
      if (segment !== undefined) segment.needed -= batch.length;
      this.#giveUp(error);
      return undefined;
    }
  }

  async #syncAlone({ fd, spare, complete, resolve, reject }: Waiting): Promise<void> {
    try {
      complete();
      await commit(fd);
      if (spare !== undefined) this.#spares.release(spare);
      closeSync(fd);
      resolve();
    } catch (error) {
      reject(error);
    }
  }

  #hold(batch: readonly Waiting[], held: readonly Held[]): void {
    for (const [index, each] of held.entries()) {
      const { complete, resolve, reject } = batch[index] as Waiting;
      try {
        complete();
        this.#held.push(each);
        resolve();
      } catch (error) {
        // The file is the caller's again, who removes it.
        this.#forget(each);
        reject(error);
      }
    }
    if (this.#held.length > 0) {
      this.#sweeper ??= every(SWEEP_MS, () => this.#sweep(PATIENCE_MS)).unref();
    }
  }

  /** The queue files are as good as ever: from now on each is synced by itself. */
  #giveUp(error: unknown): void {
    this.#isOut = true;
    const why = (error as Error).message;
    this.#options.warn(`cannot write the journal, messages are synced one by one: ${why}`);
    this.#sweep(0);
    for (const segment of this.#segments) this.#removeUnneeded(segment);
  }

  #segmentFor(bytes: number): Segment | undefined {
    const current = this.#current;
    if (current !== undefined && current.position + bytes <= SEGMENT_BYTES) return current;
    let next = this.#unneeded();
    if (next === undefined) {
      this.#sweep(PATIENCE_MS);
      next = this.#unneeded();
    }
    if (next === undefined && this.#segments.length < SEGMENTS_MAX) next = this.#addSegment();
    if (next === undefined) return undefined;
    this.#begin(next);
    this.#current = next;
    return next;
  }

  /** The oldest: what younger ones say of its messages is to outlive them. */
  #unneeded(): Segment | undefined {
    const unneeded = this.#segments.filter(({ needed }) => needed === 0);
    return unneeded.sort((one, other) => one.generation - other.generation)[0];
  }

  #begin(segment: Segment): void {
    this.#generation += 1;
    segment.generation = this.#generation;
    segment.position = 0;
  }

  #addSegment(): Segment {
    const { path, fd } = this.#createSegment();
    // That it is there has to be on stable storage before anything in it can be.
    commitSync(fd);
    syncFolder(JOURNAL_FOLDER);
    // So has the folder: whoever made it may not have come so far yet.
    if (this.#segments.length === 0) syncFolder('.');
    const segment = { fd, path, generation: 0, position: 0, needed: 0, isRemoved: false };
    this.#segments.push(segment);
    return segment;
  }

  /** Until it is locked it looks like one that a process has left behind: others may remove it. */
  #createSegment(): { readonly path: string; readonly fd: number } {
    for (;;) {
      const path = `${JOURNAL_FOLDER}/${this.#family}.${this.#created}`;
      this.#created += 1;
      const fd = openInFolder(path);
      if (flock(fd, 'exclusive') && fstatSync(fd).nlink > 0) return { path, fd };
      closeSync(fd);
    }
  }

  /** Lets go of messages that are gone; those that have been here for long are synced. */
  #sweep(patienceMs: number): void {
    const stillHeld: Held[] = [];
    for (const each of this.#held) {
      if (isGone(each)) this.#settleGone(each);
      else if (monotonic() - each.since >= patienceMs) this.#sync(each);
      else stillHeld.push(each);
    }
    this.#held = stillHeld;
    if (this.#isOut) this.#settled = [];
    else if (this.#settled.length > 0) this.#write();
    if (stillHeld.length > 0) return;
    this.#spares.clear();
    this.#sweeper?.stop();
    this.#sweeper = undefined;
  }

  #sync(held: Held): void {
    const synced = this.#syncs
      .through(() => commit(held.fd))
      .then(
        () => this.#settle(held),
        // The segment is needed for as long as we live, and the next start looks into it.
        (error) => this.#options.warn(`sync queue file ${held.path}: ${error.message}`),
      )
      .finally(() => this.#settling.delete(synced));
    this.#settling.add(synced);
  }

  /** Its queue file is on the disk, or gone. */
  #settle(held: Held): void {
    if (held.spare !== undefined) this.#spares.release(held.spare);
    closeSync(held.fd);
    this.#forget(held);
  }

  /** @returns whether its file can be used again */
  #settleGone(held: Held): boolean {
    if (held.spare === undefined) {
      this.#settle(held);
      return false;
    }
    this.#spares.give(held.spare);
    this.#forget(held);
    return true;
  }

  #forget({ sequence, segment }: Held): void {
    segment.needed -= 1;
    this.#settled.push(sequence);
    if (this.#isOut) this.#removeUnneeded(segment);
  }

  /** A segment that nobody writes any more would bring old mail back one day. */
  #removeUnneeded(segment: Segment): void {
    if (segment.needed > 0 || segment.isRemoved) return;
    segment.isRemoved = true;
    unlinkSync(segment.path);
    closeSync(segment.fd);
  }
}

/** Whether a message has left the queue: its file has no name there. */
function isGone({ fd, spare }: Held): boolean {
  const hasNoOther = spare === undefined ? undefined : hasOneName(spare);
  return hasNoOther ?? fstatSync(fd).nlink === 0;
}

function openInFolder(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(JOURNAL_FOLDER, { recursive: true, mode: 0o700 });
    return openSync(path, 'wx', 0o600);
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    commitSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeAll(segment: Segment, pieces: readonly Buffer[]): void {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const written = writevSync(segment.fd, pieces, segment.position);
  if (written !== bytes) throw new Error(`${segment.path}: ${written} of ${bytes} bytes written`);
  segment.position += bytes;
}
