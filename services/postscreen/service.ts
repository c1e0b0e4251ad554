/**
 * postscreen(8): keeps zombies away from smtpd.
 *
 * Called by SMTP clients, all of them in one process. Calls dnsblog (what do the lists say?) and
 * tlsproxy (STARTTLS), and hands who has passed over to smtpd, with the open connection. Keeps what clients have passed in
 * postscreen_cache_map, which belongs to it alone. Start reading here, then session.ts. Postfix:
 * postscreen(8).
 */

import { now } from '../../lib/clock/clock.ts';
import { splitList } from '../../lib/config/configuration.ts';
import {
  type MatchAnswer,
  type MatchList,
  MatchListError,
  openMatchList,
} from '../../lib/config/match-list.ts';
import { parseProtocols } from '../../lib/config/networks.ts';
import { type AddressText, addressTextBy } from '../../lib/log/address-text.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { ProxyHeaderError } from '../../lib/net/proxy-header.ts';
import type { EventService } from '../../lib/server/event-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import {
  openTable,
  openTables,
  type Table,
  TableError,
  type TableList,
} from '../../lib/table/table.ts';
import { type Access, evaluateAccess } from './access-list.ts';
import { Cache } from './cache.ts';
import type { Engine } from './engine.ts';
import { Keywords } from './keywords.ts';
import { ListScores } from './list-scores.ts';
import { parseListSite, type Score } from './list-sites.ts';
import { Occupancy } from './occupancy.ts';
import { type Name, PARAMETERS } from './parameters.ts';
import type { ProxyLimits } from './proxied.ts';
import { answerAtOnce, Replies } from './replies.ts';
import { dueTests, parseExpiry, type Test } from './reputation.ts';
import { Session } from './session.ts';
import {
  type Action,
  type Parameters,
  readAction,
  readLimits,
  readTests,
  readTls,
  type StressLimits,
  type TestSettings,
} from './settings.ts';

type Context = ServiceContext<Name>;

export const postscreen: EventService<Name, Screen> = {
  name: 'postscreen',
  parameters: PARAMETERS,
  requires: 'solitary',
  useLimit: false,
  finishesInBackground: true,
  watchdogSeconds: ({ parameters }) => parameters.postscreen_watchdog_timeout,
  open: (context) => new Screen(context),
  start: (_context, screen) => screen.start(),
  serve: (socket, _context, screen) => new Session(socket, screen).run(),
  stop: (_context, screen) => screen.close(),
};

/** What all sessions share: configuration, tables, and what is known of clients. */
export class Screen {
  readonly parameters: Parameters;
  readonly log: Log;
  readonly #addressText: AddressText;
  readonly tests: Readonly<Record<Test, TestSettings>>;
  readonly denyAction: Action;
  readonly tls: { readonly isOffered: boolean; readonly isRequired: boolean };
  readonly families: readonly (4 | 6)[];
  readonly occupancy: Occupancy;
  readonly scores: ListScores;
  readonly replies: Replies;
  /** What lists are called in the log. */
  readonly words: { readonly allow: string; readonly deny: string };
  /** The old words are the default's, for those who have not decided. */
  readonly #hasOldWords: boolean;
  /** Seconds: no test is good for less. */
  readonly shortestTtl: number;
  /** Where servers wait for clients. */
  readonly server: string;
  /** Who speaks TLS for us. */
  readonly tlsproxy: string;
  readonly teaser: string;
  readonly greeting: string;
  /** To a client that has had its chance. */
  readonly unavailable: string;
  readonly #usual: StressLimits;
  readonly #stressed: StressLimits;
  readonly #accessList: readonly string[];
  readonly #accessTables = new Map<string, Table>();
  readonly #mynetworks: MatchList;
  readonly #interfaces: MatchList;
  readonly #forbidden: MatchList;
  readonly #filter: TableList;
  readonly #domainNames: TableList;
  readonly #keywords: Keywords;
  readonly #cache: Cache | undefined;
  #proxied = 0;

  constructor(context: Context) {
    const { parameters, configuration, log, tables } = context;
    this.parameters = parameters;
    this.log = log;
    this.#addressText = addressTextBy(parameters.info_log_address_format);
    this.tests = readTests(parameters);
    this.denyAction = readAction(parameters, 'postscreen_denylist_action');
    this.tls = readTls(parameters, (text) => log.warn(text));
    this.families = parseProtocols(parameters.inet_protocols);
    this.occupancy = new Occupancy(parameters.postscreen_pre_queue_limit, log);
    this.words = parameters.respectful_logging
      ? { allow: 'ALLOW', deny: 'DENY' }
      : { allow: 'WHITE', deny: 'BLACK' };
    this.#hasOldWords =
      !parameters.respectful_logging && !configuration.isSet('respectful_logging');
    this.shortestTtl = Math.min(
      parameters.postscreen_dnsbl_min_ttl,
      ...Object.values(this.tests).map(({ ttl }) => ttl),
    );
    this.server = `private/${parameters.smtpd_service_name}`;
    this.tlsproxy = `private/${parameters.tlsproxy_service_name}`;
    this.teaser = `220-${parameters.postscreen_greet_banner}`;
    this.greeting = `220 ${parameters.smtpd_banner}`;
    const { myhostname } = parameters;
    this.unavailable = `421 ${myhostname} Service unavailable - try again later`;
    this.#usual = readLimits(configuration);
    this.#stressed = readLimits(configuration.but('stress=yes'));
    this.scores = new ListScores(
      splitList(parameters.postscreen_dnsbl_sites).map(parseListSite),
      {
        socketPath: `private/${parameters.dnsblog_service_name}`,
        timeoutMs: parameters.postscreen_dnsbl_timeout * 1000,
      },
      log,
    );
    const open = (name: string) => openTable(name, tables);
    const list = (parameter: ListName) =>
      openTables(parameters[parameter], { ...tables, parameter });
    this.#accessList = splitList(parameters.postscreen_access_list);
    for (const word of this.#accessList) {
      if (word.includes(':')) this.#accessTables.set(word, open(word));
    }
    this.#mynetworks = openMatchList(configuration, 'mynetworks', open);
    this.#interfaces = openMatchList(configuration, 'postscreen_allowlist_interfaces', open);
    this.#forbidden = openMatchList(configuration, 'postscreen_forbidden_commands', open);
    this.#filter = list('postscreen_command_filter');
    this.replies = new Replies(configuration, list('postscreen_reject_footer_maps'), log);
    this.#domainNames = list('postscreen_dnsbl_reply_map');
    this.#keywords = new Keywords(
      parameters,
      list('postscreen_discard_ehlo_keyword_address_maps'),
      log,
    );
    checkProxyProtocol(parameters);
    this.#cache =
      parameters.postscreen_cache_map === ''
        ? undefined
        : new Cache(parameters, configuration.get('mail_owner'), log);
  }

  /** Cleans the cache up, now and then. */
  start(): void {
    const { postscreen_cache_retention_time: retention } = this.parameters;
    this.#cache?.start((value) => {
      const since = Math.floor(now() / 1000) - retention;
      return dueTests(parseExpiry(value), since, this.isEnabled).length === 0;
    });
  }

  close(): void {
    this.#cache?.close();
  }

  get isBehindProxy(): boolean {
    return this.parameters.postscreen_upstream_proxy_protocol !== '';
  }

  get limits(): StressLimits {
    return this.occupancy.isStressed ? this.#stressed : this.#usual;
  }

  readonly isEnabled = (test: Test): boolean => this.tests[test].isEnabled;

  get proxyLimits(): ProxyLimits {
    const { postscreen_upstream_proxy_timeout: seconds } = this.parameters;
    return { seconds, families: this.families };
  }

  /** Waits for a proxy, unless there are too many of those. @throws {ProxyHeaderError} */
  async hearProxy<T>(read: () => Promise<T>): Promise<T> {
    if (this.#proxied >= this.parameters.postscreen_pre_queue_limit) {
      throw new ProxyHeaderError('too many connections wait for their headers');
    }
    this.#proxied += 1;
    try {
      return await read();
    } finally {
      this.#proxied -= 1;
    }
  }

  /** Logs that a client is let through, and in Postfix's old words why they are those. */
  logAllowed(label: string): void {
    this.log.info(`${this.words.allow}LISTED ${label}`);
    if (!this.#hasOldWords) return;
    const setting = 'using backwards-compatible default setting respectful_logging=no';
    this.log.info(`${setting} for client ${label}`);
  }

  cached(address: string): string | undefined {
    return this.#cache?.get(address);
  }

  remember(address: string, value: string): void {
    this.#cache?.put(address, value);
  }

  async accessOf(address: string): Promise<Access> {
    if (this.#accessList.length === 0) return 'dunno';
    return await evaluateAccess(this.#accessList, address, {
      mynetworks: this.#mynetworks,
      tables: this.#accessTables,
      warn: (text) => this.log.warn(text),
    });
  }

  /** Whether who comes to this address of ours can be remembered. In doubt: no. */
  isAllowlisting(serverAddress: string): Promise<boolean> {
    return matches(() => this.#interfaces.matchAddress(serverAddress));
  }

  /** postscreen_forbidden_commands. */
  isForbidden(word: string): Promise<boolean> {
    return matches(() => this.#forbidden.matchText(word));
  }

  /** How long a score may be remembered, in seconds. */
  scoreTtl({ ttl }: Score): number {
    const { postscreen_dnsbl_min_ttl: least, postscreen_dnsbl_max_ttl: most } = this.parameters;
    return Math.min(Math.max(ttl ?? least, least), most);
  }

  /** postscreen_dnsbl_reply_map: the name of a list, without its password. */
  shownDomain(domain: string): string {
    return answerAtOnce(this.#domainNames, domain) ?? domain;
  }

  /** What a client is not offered. */
  discardedFor({ address, endpoints }: Session): Promise<ReadonlySet<string>> {
    return this.#keywords.discardedFor(address, endpoints.clientPort);
  }

  ehloReply(discarded: ReadonlySet<string>, isSecured: boolean): readonly string[] {
    return this.#keywords.format(discarded, this.tls.isOffered && !isSecured);
  }

  /** postscreen_command_filter. */
  async filterCommand(line: string, label: string): Promise<string> {
    if (this.#filter.tables.length === 0) return line;
    try {
      const found = await this.#filter.lookup(line.replace(/^[ \t]+/, ''));
      if (found === undefined) return line;
      const [from, to] = [line, found.value].map((text) => text.slice(0, SHOWN_MAX));
      this.log.info(`${label}: replacing command "${from}" with "${to}"`);
      return found.value;
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      throw new FatalError(`postscreen_command_filter: ${error.message}`);
    }
  }

  /** What RCPT was answered, for the log. */
  logRejected({ session, sender, protocol, helo }: Engine, recipient: string): void {
    const reply = this.replies.softened(session.recipientReply);
    const [from, to] = [sender ?? '', recipient].map(this.#addressText);
    const who = `from=<${from}>, to=<${to}>`;
    const how = `proto=${protocol}, helo=<${helo ?? ''}>`;
    this.log.info(`NOQUEUE: reject: RCPT from ${session.label}: ${reply}; ${who}, ${how}`);
  }
}

const SHOWN_MAX = 100;

type ListName =
  | 'postscreen_command_filter'
  | 'postscreen_discard_ehlo_keyword_address_maps'
  | 'postscreen_dnsbl_reply_map'
  | 'postscreen_reject_footer_maps';

async function matches(match: () => MatchAnswer | Promise<MatchAnswer>): Promise<boolean> {
  try {
    return (await match()).matched;
  } catch (error) {
    if (error instanceof MatchListError) return false;
    throw error;
  }
}

function checkProxyProtocol({ postscreen_upstream_proxy_protocol: protocol }: Parameters): void {
  if (protocol === '' || protocol === 'haproxy') return;
  throw new FatalError(
    `unsupported postscreen_upstream_proxy_protocol value: ${protocol}; it can be haproxy or empty`,
  );
}
