import type { Configuration } from '../config/configuration.ts';
import type { ParameterName, ValueOf } from '../config/parameters.ts';
import type { Log } from '../log/log.ts';
import type { FlowControl } from './flow-control.ts';
import type { TableWatch } from './table-watch.ts';

/** The typed values of the parameters that a service named. */
export type ParametersOf<P extends ParameterName> = { readonly [K in P]: ValueOf<K> };

/** What the skeleton hands to a service. */
export interface ServiceContext<P extends ParameterName = never> {
  /** The values of the parameters that the service declared. */
  readonly parameters: ParametersOf<P>;
  readonly configuration: Configuration;
  readonly log: Log;
  /** To open tables in: the skeleton watches those that are. */
  readonly tables: TableWatch;
  /** The first field of the line in master.cf. */
  readonly serviceName: string;
  /** The type in master.cf: `inet`, `unix`, `fifo`, `pass`, `unix-dgram`; '' when stand-alone. */
  readonly transportType: string;
  /** What follows the options in master.cf. */
  readonly args: readonly string[];
  /**
   * We have been told to leave: take nothing new, close what only waits. Clients that are being
   * served and deliveries that have begun are finished first, so it must not end those.
   */
  readonly stopping: AbortSignal;
  /** No master: stdin and stdout are the client (`-S`). */
  readonly standalone: boolean;
  /** How many clients this process serves at the same time. */
  readonly slots: number;
  readonly flow: FlowControl;
  /** Takes nothing new any more, and leaves when its clients are done: once it has started. */
  retire(): void;
}

/** What every kind of server asks of a service. */
export interface Service<P extends ParameterName, S> {
  readonly name: string;
  readonly parameters: readonly P[];
  /** `solitary`: master.cf must say maxproc 1; `unlimited`: 0. */
  readonly requires?: 'solitary' | 'unlimited';
  /** It has to keep root's rights: master.cf must not say unpriv. */
  readonly privileged?: boolean;
  /** It takes arguments after the options; others refuse them. */
  readonly takesArguments?: boolean;
  /** False: it stays however long nobody comes. A function: at least so many seconds. */
  readonly idleLimit?: boolean | ((context: ServiceContext<P>) => number);
  /** False: it stays however many clients it has served. */
  readonly useLimit?: boolean;
  /** It says so in the log when it goes on with its clients while the next process takes new ones. */
  readonly finishesInBackground?: boolean;
  /** Threads for file work that Node can't do on its own (UV_THREADPOOL_SIZE). */
  readonly ioThreads?: number;
  /**
   * Files that a client may need to have open: a process takes no more clients than it has files for.
   * Node would accept the others, and drop them without a word.
   */
  readonly filesPerSlot?: number;
  /** Seconds until a stuck event loop ends the process; `daemon_timeout` unless given. */
  readonly watchdogSeconds?: number | ((context: ServiceContext<P>) => number);
  /** Before privileges are dropped: open tables, logs, resolv.conf. Its result is the state. */
  open?(context: ServiceContext<P>): S | Promise<S>;
  /** After privileges were dropped, before the first client. */
  start?(context: ServiceContext<P>, state: S): void | Promise<void>;
  /**
   * A table has changed, and we have all the rights that we had when we opened it: opens all of them
   * anew. Without this the process leaves.
   */
  renew?(context: ServiceContext<P>, state: S): void;
  /** Just before the process leaves of its own accord. */
  stop?(context: ServiceContext<P>, state: S): void | Promise<void>;
}
