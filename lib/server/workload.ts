/** Whether a process works as much as one processor can: then another process would serve clients sooner. */
import { every, monotonic, type Timer } from '../clock/clock.ts';

const LOOK_MS = 500;
/** Of a processor's time. A process that shares its processor with others never comes so far. */
const FULL = 0.9;
/** So many looks in a row have to find it full: a moment is no load. */
const LOOKS = 2;

/** What a process has worked until a time; milliseconds. */
export interface Work {
  /** Processor time of all its threads. */
  readonly used: number;
  /** Monotonic. */
  readonly at: number;
}

/** Watches the process while it has clients. */
export class Workload {
  readonly #onFull: () => void;
  readonly #measure: () => Work;
  #timer: Timer | undefined;
  #last: Work | undefined;
  #fullLooks = 0;

  /** @param onFull called at each look for as long as there is too much to do */
  constructor(onFull: () => void, measure = workOfProcess) {
    this.#onFull = onFull;
    this.#measure = measure;
  }

  /** The first client has come. */
  start(): void {
    this.#last = this.#measure();
    this.#fullLooks = 0;
    this.#timer ??= every(LOOK_MS, () => this.look());
  }

  /** The last client has gone. */
  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
  }

  look(): void {
    const work = this.#measure();
    const { used, at } = this.#last ?? work;
    this.#last = work;
    const isFull = work.used - used >= FULL * (work.at - at) && work.at > at;
    this.#fullLooks = isFull ? this.#fullLooks + 1 : 0;
    if (this.#fullLooks >= LOOKS) this.#onFull();
  }
}

function workOfProcess(): Work {
  const { user, system } = process.cpuUsage();
  return { used: (user + system) / 1000, at: monotonic() };
}
