import type { Configuration } from '../config/configuration.ts';
import type { Patience } from '../ipc/connect-patiently.ts';
import type { PoolLimits } from '../ipc/connection-pool.ts';
import type { Log } from '../log/log.ts';

/** What every client of a service of ours may be told; the defaults are Postfix's. */
export interface ClientOptions {
  /** Longest wait for one read or write. */
  readonly timeoutMs?: number;
  /** How long connections that nobody uses are kept, and used again. */
  readonly limits?: PoolLimits;
  /** How often to try to connect; each client has its own default. */
  readonly patience?: Patience;
  /** For the warnings of failed attempts. */
  readonly log?: Log;
  readonly stopping?: AbortSignal;
}

export const TIMEOUT_MS = 3_600_000;
export const LIMITS: PoolLimits = { idleMs: 5000, ttlMs: 1_000_000 };

/** The options as main.cf has them: ipc_timeout, ipc_idle, ipc_ttl. */
export function clientOptions(configuration: Configuration, log?: Log): ClientOptions {
  return {
    timeoutMs: configuration.get('ipc_timeout') * 1000,
    limits: {
      idleMs: configuration.get('ipc_idle') * 1000,
      ttlMs: configuration.get('ipc_ttl') * 1000,
    },
    ...(log === undefined ? {} : { log }),
  };
}
