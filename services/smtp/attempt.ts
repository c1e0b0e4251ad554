/**
 * One attempt to deliver one message: the destinations of its nexthop in turn, the hosts of each in
 * turn, until every recipient is settled.
 */
import { now } from '../../lib/clock/clock.ts';
import { splitList } from '../../lib/config/list.ts';
import { DELIVERY_FLAG, type DeliveryRequest } from '../../lib/delivery/request.ts';
import type { Status } from '../../lib/dsn/status.ts';
import type { Connector, Endpoint } from './connector.ts';
import { type Destination, type DestinationRules, parseDestination } from './destination.ts';
import { exchangeGreetings } from './greeting.ts';
import type { FoundHosts, HostLookup } from './host-lookup.ts';
import type { Ledger } from './ledger.ts';
import type { SmtpSession } from './session.ts';
import type { SessionCache } from './session-cache.ts';
import type { Settings } from './settings.ts';
import { type Transfer, transfer } from './transfer.ts';
import { ownTrouble, type Trouble } from './trouble.ts';

/** What all attempts of a process share. */
export interface Means {
  readonly settings: Settings;
  readonly rules: DestinationRules;
  readonly lookup: HostLookup;
  readonly connector: Connector;
  readonly cache: SessionCache;
  /** Tells postmaster what was said. */
  notify(session: SmtpSession): Promise<void>;
  /** EHLO keywords that a host is not believed. */
  discardedFor(address: string): Promise<ReadonlySet<string>>;
  /** What to do for a host behind an old firewall. */
  pixWorkaroundsFor(address: string): Promise<readonly string[]>;
}

export interface AttemptOptions {
  readonly means: Means;
  readonly request: DeliveryRequest;
  readonly ledger: Ledger;
  /** What is the same for every host. */
  readonly mail: Pick<Transfer, 'sender' | 'addressOf'>;
  /** The content as a host with or without 8BITMIME is to get it. */
  contentFor(session: SmtpSession): Transfer['content'];
  /** A connection stands: what follows is delivery time. */
  connected(ms: number): void;
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
}

/** Where a walk through the hosts of one destination has come to. */
interface Walk {
  readonly destination: Destination;
  readonly lastDestination: boolean;
  readonly detectLoops: boolean;
  readonly load: boolean;
  readonly store: boolean;
}

const SMTP_PORT = 25;

export class Attempt {
  readonly #options: AttemptOptions;
  readonly #means: Means;
  readonly #ledger: Ledger;
  /** Some host has heard of this message: the destination is not dead. */
  #heard = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#means = options.means;
    this.#ledger = options.ledger;
  }

  /**
   * Tries one destination after the other.
   *
   * @returns true when mail loops back to us and best_mx_transport is to have it; else every
   *   recipient is settled
   */
  async run(): Promise<boolean> {
    const { settings } = this.#means;
    const nexthops = splitList(this.#options.request.nexthop);
    const fallbacks = settings.fallbackRelay;
    const all = [...nexthops, ...fallbacks];
    let last = 0;
    for (const [index, text] of all.entries()) {
      last = index;
      const final = await this.#tryDestination(text, index === 0, index === all.length - 1);
      if (this.#ledger.left === 0) return false;
      if (final) break;
    }
    const inFallback = last >= nexthops.length;
    const trouble = this.#closing(inFallback, nexthops[0] ?? '');
    if (trouble.loop && trouble.status.startsWith('5') && settings.bestMxTransport !== '')
      return true;
    this.#ledger.begin();
    await this.#ledger.fail(this.#ledger.open, trouble, { relay: 'none', lastHost: true });
    return false;
  }

  /** @returns true when no other destination may be tried */
  async #tryDestination(text: string, first: boolean, last: boolean): Promise<boolean> {
    const destination = parseDestination(text, this.#means.rules);
    if (typeof destination === 'string') {
      this.#options.warn(destination);
      this.#ledger.lastTrouble = ownTrouble('4.3.5', destination);
      return false;
    }
    const detectLoops =
      !this.#means.settings.lmtp && destination.kind === 'inet' && destination.port === SMTP_PORT;
    const walk: Walk = {
      destination,
      lastDestination: last,
      detectLoops,
      ...this.#cachePolicy(destination.text, first),
    };
    if (walk.load) await this.#reuse(walk, destination.text);
    if (this.#ledger.left === 0) return true;
    if (destination.kind === 'unix') {
      await this.#tryEndpoints(walk, [{ path: destination.path }], 0);
      return last;
    }
    const found = await this.#hostsOf(destination, detectLoops);
    for (const step of found.trail) this.#options.debug(step);
    for (const warning of found.warnings) this.#options.warn(warning);
    if (found.trouble !== undefined) this.#ledger.lastTrouble = found.trouble;
    // A backup that is no mail exchanger must not get mail that loops: it would make it worse.
    const final = last || found.isSelf;
    const endpoints = found.hosts.map((host) => ({ ...host, port: destination.port }));
    await this.#tryEndpoints({ ...walk, lastDestination: final }, endpoints, found.bestPreference);
    return final;
  }

  #hostsOf(
    destination: Destination & { readonly kind: 'inet' },
    detectLoops: boolean,
  ): Promise<FoundHosts> {
    const { lookup } = this.#means;
    return destination.lookupMx
      ? lookup.exchangers(destination.host, detectLoops)
      : lookup.host(destination.host, detectLoops);
  }

  /** Addresses in turn, within the limits on addresses and sessions. */
  async #tryEndpoints(walk: Walk, all: readonly Endpoint[], bestPreference: number): Promise<void> {
    const { mxAddressLimit, mxSessionLimit } = this.#means.settings;
    const endpoints = mxAddressLimit > 0 ? all.slice(0, mxAddressLimit) : all;
    let sessions = 0;
    for (const [index, endpoint] of endpoints.entries()) {
      if (this.#ledger.left === 0) return;
      const lastAddress = index === endpoints.length - 1;
      this.#ledger.begin();
      const session = await this.#open(walk, endpoint, bestPreference, lastAddress);
      if (session === undefined) continue;
      // A handshake that fails does not count as a session.
      sessions += 1;
      const enough = lastAddress || sessions === mxSessionLimit;
      await this.#transfer(walk, session, endpoint, walk.lastDestination && enough);
      if (enough) return;
    }
  }

  /** A session that is ready for mail, kept or new. */
  async #open(
    walk: Walk,
    endpoint: Endpoint,
    bestPreference: number,
    lastAddress: boolean,
  ): Promise<SmtpSession | undefined> {
    const { connector, settings } = this.#means;
    // The best hosts get a new connection, so that mail goes back to them when they recover.
    const backup = !('path' in endpoint) && endpoint.preference !== bestPreference;
    if (walk.load && backup) {
      const kept = await this.#revive(connector.keyOf(endpoint));
      if (kept !== undefined) return kept;
    }
    const connected = await connector.connect(endpoint);
    if ('reason' in connected) {
      this.#options.info(connected.reason);
      this.#ledger.lastTrouble = connected;
      return undefined;
    }
    const waitedMs = now() - this.#options.request.times.arrival.seconds * 1000;
    const address = 'path' in endpoint ? '' : endpoint.address;
    const trouble = await exchangeGreetings(connected, {
      settings,
      discarded: await this.#means.discardedFor(address),
      detectLoops: walk.detectLoops,
      nexthop: this.#options.request.nexthop,
      pixWorkarounds:
        waitedMs > settings.pixThresholdMs ? await this.#means.pixWorkaroundsFor(address) : [],
      info: (text) => this.#options.info(`${this.#options.request.queueId}: ${text}`),
      warn: this.#options.warn,
    });
    if (trouble === undefined) return connected;
    await this.#ledger.fail(this.#ledger.open, trouble, {
      relay: connected.peer.relay,
      connUse: connected.uses,
      lastHost: walk.lastDestination && lastAddress,
    });
    await this.#end(connected, undefined);
    return undefined;
  }

  async #transfer(
    walk: Walk,
    session: SmtpSession,
    endpoint: Endpoint | undefined,
    lastHost: boolean,
  ): Promise<void> {
    const { settings, cache, connector } = this.#means;
    const keep = walk.store && cache.accepts(session);
    this.#options.connected(now());
    this.#heard = true;
    await transfer({
      session,
      request: this.#options.request,
      settings,
      ledger: this.#ledger,
      lastHost,
      keep,
      ...this.#options.mail,
      content: this.#options.contentFor(session),
      warn: this.#options.warn,
    });
    const keys = endpoint === undefined ? [] : [connector.keyOf(endpoint)];
    await this.#end(session, keep ? [walk.destination.text, ...keys] : undefined);
  }

  /** Keeps the session under `keys`, or takes leave. */
  async #end(session: SmtpSession, keys: readonly string[] | undefined): Promise<void> {
    await this.#part(session, keys);
    if (session.transcript?.isOfInterest) await this.#means.notify(session);
    session.transcript?.clear();
  }

  async #part(session: SmtpSession, keys: readonly string[] | undefined): Promise<void> {
    if (session.spent) {
      session.destroy();
      return;
    }
    if (keys !== undefined && !session.isStale) {
      this.#means.cache.put(keys, session);
      return;
    }
    const { skipQuitResponse, quitMs } = this.#means.settings;
    if (!session.quitSent) session.send('QUIT\r\n');
    // What comes of RSET belongs into a transcript; else nobody waits for it.
    if (session.resetSent && session.transcript?.isOfInterest) {
      await session.reply(quitMs).catch(() => undefined);
    }
    if (!skipQuitResponse) await session.reply(quitMs).catch(() => undefined);
    session.close();
  }

  /** A session kept from earlier mail to the same destination spares even the DNS. */
  async #reuse(walk: Walk, key: string): Promise<void> {
    const session = await this.#revive(key);
    if (session === undefined) return;
    this.#ledger.begin();
    await this.#transfer(walk, session, undefined, false);
  }

  async #revive(key: string): Promise<SmtpSession | undefined> {
    const { cache, settings } = this.#means;
    for (let kept = cache.take(key); kept !== undefined; kept = cache.take(key)) {
      const reply = await kept.command('RSET', settings.rsetMs).catch(() => undefined);
      if (reply !== undefined && reply.code < 300 && !kept.spent) {
        kept.uses += 1;
        return kept;
      }
      kept.destroy();
    }
    return undefined;
  }

  #cachePolicy(destination: string, first: boolean): { load: boolean; store: boolean } {
    const { cacheDestinations, cacheOnDemand } = this.#means.settings;
    if (!first) return { load: false, store: false };
    if (cacheDestinations.includes(destination.toLowerCase())) return { load: true, store: true };
    const { flags } = this.#options.request;
    return {
      load: cacheOnDemand && (flags & DELIVERY_FLAG.CONN_LOAD) !== 0,
      store: cacheOnDemand && (flags & DELIVERY_FLAG.CONN_STORE) !== 0,
    };
  }

  /** What the recipients are told whom no host took. */
  #closing(inFallback: boolean, nexthop: string): Trouble {
    const { settings } = this.#means;
    const latest =
      this.#ledger.lastTrouble ??
      ownTrouble('4.3.0', 'server unavailable or unable to receive mail');
    const trouble = { ...latest, site: !this.#heard };
    if (trouble.status.startsWith('4')) return trouble;
    // A mistake in our own configuration is no reason to return mail.
    const culprit = inFallback
      ? `${settings.protocol}_fallback_relay`
      : !settings.lmtp && nexthop === settings.relayhost
        ? 'relayhost'
        : undefined;
    if (culprit === undefined) return trouble;
    this.#options.warn(`${culprit} configuration problem`);
    return { ...trouble, status: '4.3.5' as Status<4> };
  }
}
