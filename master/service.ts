import type { Timer } from '../lib/clock/clock.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import type { Listener } from './listeners.ts';
import type { StatusChannel } from './status-channel.ts';

/** A process that serves a service. */
export interface Child {
  readonly pid: number;
  readonly generation: number;
  /** How many of the service's `maxproc` this process stands for: 1, or what it said at start. */
  share: number;
  /** The next process need not wait until it has finished. */
  overlaps: boolean;
  /** How many more clients it can take. A new child counts as available from the fork. */
  free: number;
  /** How often it became available again; a child that dies with 0 never worked. */
  uses: number;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** False for a child of before the last reload: reaped, but no longer counted on. */
  current: boolean;
}

/** A line of master.cf at work: its sockets, its children, and what it is waiting for. */
export interface Service {
  /** `private/rewrite`, `25`, `[::1]:587`: with the type, what makes two lines the same service. */
  readonly key: string;
  entry: MasterEntry;
  readonly listeners: readonly Listener[];
  readonly children: Map<number, Child>;
  channel: StatusChannel;
  /** Running while no new child may be started, after one that died at once. */
  throttled: Timer | undefined;
  /** Children in a row that died before they did anything. */
  failures: number;
  wakeup: Timer | undefined;
  /** The first wake-up with `?` waits until a client has been served. */
  wasUsed: boolean;
  /** Until when (monotonic ms) new children are told that there is stress; 0: there is none. */
  stressUntil: number;
  /** When (monotonic ms) we last said that the process limit was reached. */
  limitReportedAt: number;
}

/** What master.cf calls "unlimited". */
const UNLIMITED = Number.POSITIVE_INFINITY;

/** How many clients the service may serve at the same time. */
export function limitOf(service: Service, defaultLimit: number): number {
  const maxproc = service.entry.maxproc ?? defaultLimit;
  return maxproc === 0 ? UNLIMITED : maxproc;
}

/** Whether some process can take a client now. */
export function isAvailable(service: Service): boolean {
  for (const child of service.children.values()) if (child.current && child.free > 0) return true;
  return false;
}

/** How much of the limit the children take up, those of before a reload included. */
export function shareInUse(service: Service): number {
  let sum = 0;
  for (const child of service.children.values()) sum += child.share;
  return sum;
}

/** Whether master has to watch the sockets itself and start a process for the next client. */
export function wantsChild(service: Service, defaultLimit: number): boolean {
  return (
    service.throttled === undefined &&
    !isAvailable(service) &&
    shareInUse(service) < limitOf(service, defaultLimit)
  );
}
