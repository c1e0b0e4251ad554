/**
 * tlsmgr(8): what all processes that speak TLS have in common.
 *
 * Called by smtpd and smtp, over connections that stay: for the keys of session tickets, for sessions
 * that are remembered in a table, and by Postfix's also for random bytes. Calls nobody. Its tables are
 * its own. Postfix: tlsmgr(8).
 */
import { formatTicketKey, TICKET_KEY_SIZE, TLSMGR_STATUS } from '../../lib/clients/tlsmgr.ts';
import { every, now } from '../../lib/clock/clock.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { data, int, str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { becomeSessionLeader } from '../../lib/os/session.ts';
import type { MultiService } from '../../lib/server/multi-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { Entropy, SEED_BYTES_MAX } from './entropy.ts';
import { type CacheSettings, CLEAN_UP_SECONDS_MIN, SessionCacheFile } from './session-cache.ts';
import { TicketKeys } from './ticket-keys.ts';

const PARAMETERS = [
  'lmtp_tls_session_cache_database',
  'lmtp_tls_session_cache_timeout',
  'smtp_tls_session_cache_database',
  'smtp_tls_session_cache_timeout',
  'smtpd_tls_session_cache_database',
  'smtpd_tls_session_cache_timeout',
  'tls_random_bytes',
  'tls_random_reseed_period',
  'tls_random_source',
] as const;

/** Node keeps its pool of chance to itself: there is nothing to keep it in. */
export const NOT_BUILT = ['tls_random_exchange_name', 'tls_random_prng_update_period'] as const;

type Names = (typeof PARAMETERS)[number];
type Reply = [name: string, value: string | number | Buffer][];

const REQUEST = { request: str };
const SEED = { size: int };
const POLICY = { cacheType: str.named('cache_type') };
const ENTRY = { cacheType: str.named('cache_type'), cacheId: str.named('cache_id') };
const UPDATE = { ...ENTRY, session: data };
const KEY = { keyname: data };
const { OK, BAD_REQUEST, NOT_FOUND } = TLSMGR_STATUS;
const NOTHING = Buffer.alloc(0);
const NAME_BYTES = 16;
const LIFETIME_SECONDS_MIN = 120;
const WAKE_UP = Buffer.from('W\0');

export const tlsmgr: MultiService<Names, Manager> = {
  name: 'tlsmgr',
  parameters: PARAMETERS,
  protocol: PROTOCOLS.tlsmgr,
  requires: 'solitary',
  // All would lose their tickets.
  idleLimit: false,
  useLimit: false,
  open: (context) => new Manager(context),
  start: (_context, manager) => {
    becomeSessionLeader();
    manager.start();
  },
  async serve(connection, { log }, manager) {
    const first = await connection.receiveBytes();
    if (first === undefined) return;
    // master wakes us now and then: we have timers of our own.
    if (first.equals(WAKE_UP)) return;
    connection.unread(first);
    for (;;) {
      const request = await connection.receive(REQUEST, { more: true });
      if (request === undefined) return;
      const reply = await answer(request.request, connection, manager, log);
      if (reply === undefined) return;
      await connection.send(reply);
    }
  },
  stop: (_context, manager) => manager.close(),
};

async function answer(
  request: string,
  connection: IpcConnection,
  manager: Manager,
  log: Log,
): Promise<Reply | undefined> {
  switch (request) {
    case 'seed': {
      const wanted = await connection.receive(SEED);
      return wanted && manager.seed(wanted.size);
    }
    case 'policy': {
      const wanted = await connection.receive(POLICY);
      return wanted && manager.policy(wanted.cacheType);
    }
    case 'lookup': {
      const wanted = await connection.receive(ENTRY);
      return wanted && manager.lookup(wanted.cacheType, wanted.cacheId);
    }
    case 'update': {
      const told = await connection.receive(UPDATE);
      return told && manager.update(told.cacheType, told.cacheId, told.session);
    }
    case 'delete': {
      const told = await connection.receive(ENTRY);
      return told && manager.delete(told.cacheType, told.cacheId);
    }
    case 'tktkey': {
      const wanted = await connection.receive(KEY);
      return wanted && manager.ticketKey(wanted.keyname);
    }
    default:
      log.warn(`unrecognized request: "${request}", ignored`);
      return undefined;
  }
}

/** What is kept for the others. */
export class Manager {
  readonly #context: ServiceContext<Names>;
  readonly #entropy = new Entropy();
  readonly #keys: TicketKeys;
  readonly #settings: ReadonlyMap<string, CacheSettings>;
  readonly #caches = new Map<string, SessionCacheFile>();

  constructor(context: ServiceContext<Names>) {
    this.#context = context;
    const { parameters } = context;
    this.#keys = new TicketKeys(lifetime(parameters.smtpd_tls_session_cache_timeout));
    this.#settings = new Map(
      (['smtpd', 'smtp', 'lmtp'] as const).map((kind) => [
        kind,
        {
          kind,
          table: parameters[`${kind}_tls_session_cache_database`],
          timeoutSeconds: lifetime(parameters[`${kind}_tls_session_cache_timeout`]),
        },
      ]),
    );
    refuseSharedTables([...this.#settings.values()]);
    this.#openSource();
  }

  /** Opens the tables, as the user that they belong to. */
  start(): void {
    const { tls_random_reseed_period: reseedSeconds } = this.#context.parameters;
    this.#stir();
    every(reseedSeconds * 1000, () => this.#stir()).unref();
    for (const settings of this.#settings.values()) {
      const { kind, table, timeoutSeconds } = settings;
      if (table === '') continue;
      const cache = this.#open(settings);
      this.#caches.set(kind, cache);
      const seconds = Math.max(timeoutSeconds, CLEAN_UP_SECONDS_MIN);
      every(seconds * 1000, () => cache.cleanUp(secondsNow())).unref();
    }
  }

  /** What can't be remembered on disk is remembered in memory: sessions are only a convenience. */
  #open(settings: CacheSettings): SessionCacheFile {
    try {
      return new SessionCacheFile(settings);
    } catch (error) {
      if (!(error instanceof FatalError)) throw error;
      this.#context.log.warn(`${error.message}; until then sessions are kept in memory`);
      return new SessionCacheFile({ ...settings, table: '' });
    }
  }

  close(): void {
    for (const cache of this.#caches.values()) cache.close();
  }

  seed(size: number): Reply {
    if (size < 1 || size > SEED_BYTES_MAX) {
      this.#context.log.warn(`bogus seed length "${size}" in "seed" request`);
      return [
        ['status', BAD_REQUEST],
        ['seed', NOTHING],
      ];
    }
    return [
      ['status', OK],
      ['seed', this.#entropy.seed(size)],
    ];
  }

  policy(kind: string): Reply {
    const settings = this.#known(kind, 'policy');
    return [
      ['status', settings === undefined ? BAD_REQUEST : OK],
      ['cachable', this.#caches.has(kind) ? 1 : 0],
      ['timeout', settings?.timeoutSeconds ?? 0],
    ];
  }

  lookup(kind: string, id: string): Reply {
    if (this.#known(kind, 'lookup') === undefined) {
      return [
        ['status', BAD_REQUEST],
        ['session', NOTHING],
      ];
    }
    const found = this.#caches.get(kind)?.lookup(id, secondsNow());
    return [
      ['status', found === undefined ? NOT_FOUND : OK],
      ['session', found ?? NOTHING],
    ];
  }

  update(kind: string, id: string, session: Buffer): Reply {
    if (this.#known(kind, 'update') === undefined) return [['status', BAD_REQUEST]];
    const isTaken = this.#caches.get(kind)?.update(id, session, secondsNow()) ?? false;
    return [['status', isTaken ? OK : NOT_FOUND]];
  }

  delete(kind: string, id: string): Reply {
    if (this.#known(kind, 'delete') === undefined) return [['status', BAD_REQUEST]];
    const cache = this.#caches.get(kind);
    cache?.delete(id);
    return [['status', cache === undefined ? NOT_FOUND : OK]];
  }

  ticketKey(name: Buffer): Reply {
    if (name.length !== 0 && name.length !== NAME_BYTES) {
      this.#context.log.warn(`invalid session ticket key name length: ${name.length}`);
      return [
        ['status', BAD_REQUEST],
        ['keybuf', Buffer.alloc(TICKET_KEY_SIZE)],
      ];
    }
    const time = secondsNow();
    const key = name.length === 0 ? this.#keys.forSealing(time) : this.#keys.forOpening(name, time);
    return [
      ['status', key === undefined ? NOT_FOUND : OK],
      ['keybuf', key === undefined ? Buffer.alloc(TICKET_KEY_SIZE) : formatTicketKey(key)],
    ];
  }

  #known(kind: string, request: string): CacheSettings | undefined {
    const settings = this.#settings.get(kind);
    if (settings === undefined) {
      this.#context.log.warn(`bogus cache type "${kind}" in "${request}" request`);
    }
    return settings;
  }

  /** While the root directory is what it was. */
  #openSource(): void {
    const { parameters, log } = this.#context;
    const { tls_random_source: source } = parameters;
    // Without a source of its own the system's is good enough.
    if (source === '') return;
    if (source.startsWith('egd:')) {
      log.warn(
        `tls_random_source: "${source}": egd: is not built in Posthaste; the system's random numbers are used alone`,
      );
      return;
    }
    this.#attempt(() => this.#entropy.open(source));
  }

  #stir(): void {
    this.#attempt(() => this.#entropy.stir(this.#context.parameters.tls_random_bytes));
  }

  #attempt(read: () => void): void {
    const { parameters, log } = this.#context;
    try {
      read();
    } catch (error) {
      const why = (error as Error).message;
      log.warn(
        `cannot read from tls_random_source ${parameters.tls_random_source}: ${why}; the system's random numbers are used alone`,
      );
    }
  }
}

const secondsNow = () => Math.floor(now() / 1000);

/** Postfix, too, has no sessions that live shorter, unless none live at all. */
function lifetime(seconds: number): number {
  return seconds > 0 ? Math.max(seconds, LIFETIME_SECONDS_MIN) : 0;
}

function refuseSharedTables(all: readonly CacheSettings[]): void {
  for (const [at, { table, kind }] of all.entries()) {
    const other = all.slice(at + 1).find((each) => table !== '' && each.table === table);
    if (other === undefined) continue;
    throw new FatalError(
      `do not use the same TLS cache file ${table} for ${kind} and ${other.kind}: ` +
        `set ${kind}_tls_session_cache_database and ${other.kind}_tls_session_cache_database to different ones`,
    );
  }
}
