/** Scanning incoming and deferred, and taking what is due into the active queue. queue.md 5.2. */
import { lstatSync, type Stats } from 'node:fs';
import { every, monotonic, now, type Timer } from '../../lib/clock/clock.ts';
import { isReady } from '../../lib/queue/queue-file.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { QueueScan } from '../../lib/queue/scan.ts';
import type { FlowControl } from '../../lib/server/flow-control.ts';
import type { Core } from './core.ts';
import { begin } from './delivery-round.ts';
import { openMessage } from './open-message.ts';

/** Messages whose recipients are being resolved at the same time. */
const IMPORTS_MAX = 20;
/** Files looked at, and not due, before others get a turn. */
const LOOKS_MAX = 50;
/** Files taken from each queue before others get a turn. */
const TAKES_MAX = 4;
/** Cleanup waits a second for each token that has got lost: count them now and then. */
const LEVEL_MS = 10_000;
/** Two links are how a rename looks on some file systems; for a minute nobody wonders. */
const LINKS_SECONDS = 60;

type Queue = 'incoming' | 'deferred';

/** How a scan was asked for. */
export interface ScanRequest {
  /** Take mail that is not due yet. */
  readonly ignoreTimes: boolean;
  /** Deliver in spite of defer_transports. */
  readonly flush: boolean;
}

/** One queue's scan: under way, or asked for. */
class Scan {
  readonly queue: Queue;
  #walk: QueueScan | undefined;
  #request: ScanRequest = { ignoreTimes: false, flush: false };
  #next: ScanRequest | undefined;

  constructor(queue: Queue) {
    this.queue = queue;
  }

  get active(): boolean {
    return this.#walk !== undefined;
  }

  get request(): ScanRequest {
    return this.#request;
  }

  /** Begins a scan; one that is under way begins again at its end. */
  ask(request: ScanRequest): void {
    this.#next = {
      ignoreTimes: request.ignoreTimes || this.#next?.ignoreTimes === true,
      flush: request.flush || this.#next?.flush === true,
    };
    if (this.#walk === undefined) this.#begin();
  }

  /** The next name, or undefined when the scan has ended. */
  next(): QueueId | undefined {
    for (;;) {
      if (this.#walk === undefined) return undefined;
      const id = this.#walk.next();
      if (id !== undefined) return id;
      this.#walk = undefined;
      if (this.#next === undefined) return undefined;
      this.#begin();
    }
  }

  #begin(): void {
    this.#request = this.#next as ScanRequest;
    this.#next = undefined;
    this.#walk = new QueueScan(this.queue);
  }
}

/**
 * Feeds the active queue, one file of each queue in turn, so that neither new mail nor a large
 * deferred queue crowds out the other. When the active queue is full, nothing moves.
 */
export class Feeder {
  readonly #core: Core;
  readonly #flow: FlowControl;
  readonly #incoming = new Scan('incoming');
  readonly #deferred = new Scan('deferred');
  #importing = 0;
  #running = false;
  /** Messages taken from incoming: as many tokens go back to cleanup. */
  #taken = 0;
  #timer: Timer | undefined;
  #leveledAt = Number.NEGATIVE_INFINITY;
  readonly #fatal: (error: unknown) => void;

  constructor(core: Core, flow: FlowControl, fatal: (error: unknown) => void) {
    this.#core = core;
    this.#flow = flow;
    this.#fatal = fatal;
  }

  start(): void {
    const request = { ignoreTimes: false, flush: false };
    this.scan('incoming', request);
    this.scan('deferred', request);
    const period = this.#core.settings.queue_run_delay * 1000;
    this.#timer = every(period, () => this.scan('deferred', request));
  }

  stop(): void {
    this.#timer?.stop();
  }

  scan(queue: Queue, request: ScanRequest): void {
    (queue === 'incoming' ? this.#incoming : this.#deferred).ask(request);
    this.kick();
  }

  /** Goes on, if there is something to do and room for it. */
  kick(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#running = false;
    try {
      let goesOn = false;
      for (let takes = 0; takes < TAKES_MAX; takes += 1) {
        const incoming = this.#feed(this.#incoming);
        const deferred = this.#feed(this.#deferred);
        goesOn = incoming || deferred;
        if (!goesOn) break;
      }
      this.#flow.putTokens(this.#taken);
      this.#taken = 0;
      if (goesOn) this.kick();
    } catch (error) {
      this.#fatal(error);
    }
  };

  /** @returns whether to look again soon */
  #feed(scan: Scan): boolean {
    if (!scan.active || !this.#hasRoom) return false;
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const id = scan.next();
      if (id === undefined) {
        if (scan === this.#incoming) this.#levelTokens();
        return false;
      }
      const stats = this.#due(scan, id);
      if (stats === undefined) continue;
      this.#take(scan, id, stats);
      return true;
    }
    return true;
  }

  get #hasRoom(): boolean {
    const { active, settings } = this.#core;
    if (this.#importing >= IMPORTS_MAX) return false;
    return active.size < settings.qmgr_message_active_limit;
  }

  /** What lstat says of a message that is complete and due. */
  #due(scan: Scan, id: QueueId): Stats | undefined {
    const { moves, log, active, settings } = this.#core;
    const stats = lstatSync(moves.path(scan.queue, id), { throwIfNoEntry: false });
    if (stats === undefined || !isReady(stats)) return undefined;
    const time = now();
    if (!scan.request.ignoreTimes && stats.mtimeMs > time + 1000) {
      const longest = Math.max(settings.maximal_backoff_time, settings.minimal_backoff_time);
      // The clock was set back since: nothing waits longer than we make it wait.
      if (stats.mtimeMs > time + (longest + 60) * 1000) moves.setDue(scan.queue, id, longest);
      return undefined;
    }
    if (stats.nlink > 1 && stats.mtimeMs < time - LINKS_SECONDS * 1000) {
      log.warn(`${moves.path(scan.queue, id)}: queue file has multiple links`);
    }
    if (!active.has(id)) return stats;
    log.warn(`${moves.path(scan.queue, id)}: a message of that name is active; run postsuper`);
    return undefined;
  }

  #take(scan: Scan, id: QueueId, stats: Stats): void {
    const opened = openMessage(this.#core, scan.queue, id, stats, scan.request.flush);
    if (scan === this.#incoming) this.#taken += 1;
    if (opened === undefined) return;
    this.#importing += 1;
    begin(this.#core, opened)
      .catch(this.#fatal)
      .finally(() => {
        this.#importing -= 1;
        this.kick();
      });
  }

  /** Makes the tokens as many as they should be when nothing comes in. ipc.md 1.10. */
  #levelTokens(): void {
    if (monotonic() - this.#leveledAt < LEVEL_MS) return;
    this.#leveledAt = monotonic();
    const wanted = this.#core.settings.default_process_limit;
    const found = this.#flow.drainTokens(2 * wanted + 1);
    this.#flow.putTokens(found > 2 * wanted ? 0 : wanted);
  }
}
