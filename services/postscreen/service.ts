/**
 * postscreen(8): keeps zombies away from smtpd.
 *
 * Called by SMTP clients, all of them in one process. Calls dnsblog (what do the lists say?) and hands
 * who has passed over to smtpd, with the open connection. Keeps what clients have passed in
 * postscreen_cache_map, which belongs to it alone. Start reading here, then session.ts. Postfix:
 * postscreen(8).
 */

import { quote } from '../../lib/address/address.ts';
import { now } from '../../lib/clock/clock.ts';
import { type Configuration, splitList } from '../../lib/config/configuration.ts';
import { ExpansionError } from '../../lib/config/expand.ts';
import { type MatchList, MatchListError, openMatchList } from '../../lib/config/match-list.ts';
import { parseProtocols } from '../../lib/config/networks.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { formatDate } from '../../lib/message/date.ts';
import type { EventService } from '../../lib/server/event-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { withFooter } from '../../lib/smtp/reject-footer.ts';
import { fillTemplate } from '../../lib/smtp/reply-template.ts';
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
import { type Name, NOT_BUILT, PARAMETERS } from './parameters.ts';
import { DEEP_TESTS, dueTests, parseExpiry, type Test } from './reputation.ts';
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
  readonly tests: Readonly<Record<Test, TestSettings>>;
  readonly denyAction: Action;
  readonly tls: { readonly isOffered: boolean; readonly isRequired: boolean };
  readonly families: readonly (4 | 6)[];
  readonly occupancy: Occupancy;
  readonly scores: ListScores;
  /** What lists are called in the log. */
  readonly words: { readonly allow: string; readonly deny: string };
  /** The old words are the default's, for those who have not decided. */
  readonly #hasOldWords: boolean;
  /** Seconds: no test is good for less. */
  readonly shortestTtl: number;
  /** Where servers wait for clients. */
  readonly server: string;
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
  readonly #footers: TableList;
  readonly #footer: string;
  readonly #footerCharacters: string;
  readonly #domainNames: TableList;
  readonly #keywords: Keywords;
  readonly #cache: Cache | undefined;
  #proxied = 0;

  constructor(context: Context) {
    const { parameters, configuration, log, tables } = context;
    this.parameters = parameters;
    this.log = log;
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
    this.#footers = list('postscreen_reject_footer_maps');
    this.#footer = rawValue(configuration, 'postscreen_reject_footer');
    this.#footerCharacters = rawValue(configuration, 'postscreen_expansion_filter');
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
    if (this.tls.isRequired && DEEP_TESTS.some(this.isEnabled)) {
      throw new FatalError(
        'postscreen_tls_security_level = encrypt: nobody could pass the tests after the greeting, for ' +
          'STARTTLS in postscreen is not built in Posthaste; switch off postscreen_pipelining_enable, ' +
          'postscreen_non_smtp_command_enable and postscreen_bare_newline_enable',
      );
    }
    if (this.tls.isOffered) {
      const why = 'clients have STARTTLS only from the server that they are handed over to';
      log.info(`${NOT_BUILT.join(', ')}: not built in Posthaste; ${why}`);
    }
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

  /** A client has yet to be told of. @returns false when there are too many of those */
  startProxied(): boolean {
    this.#proxied += 1;
    return this.#proxied <= this.parameters.postscreen_pre_queue_limit;
  }

  endProxied(): void {
    this.#proxied -= 1;
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
    return this.#answerAtOnce(this.#domainNames, domain) ?? domain;
  }

  ehloReply({ address, endpoints }: Session): Promise<readonly string[]> {
    return this.#keywords.reply(address, endpoints.current.clientPort);
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
    const [reply] = this.#softened([session.recipientReply]);
    const who = `from=<${quote(sender ?? '')}>, to=<${quote(recipient)}>`;
    const how = `proto=${protocol}, helo=<${helo ?? ''}>`;
    this.log.info(`NOQUEUE: reject: RCPT from ${session.label}: ${reply}; ${who}, ${how}`);
  }

  /** A reply as it goes out: softened, with its footer. */
  finished(reply: string | readonly string[], session: Session): string {
    const lines = this.#softened(typeof reply === 'string' ? [reply] : reply);
    const footed = /^[45]/.test(lines[0] ?? '') ? this.#withFooter(lines, session) : lines;
    return `${footed.join('\r\n')}\r\n`;
  }

  #softened(lines: readonly string[]): readonly string[] {
    if (!this.parameters.soft_bounce) return lines;
    return lines.map((line) =>
      line.replace(/^5(...)5?/, (all, code) => `4${code}${all[4] === '5' ? '4' : ''}`),
    );
  }

  #withFooter(lines: readonly string[], session: Session): readonly string[] {
    const { myhostname } = this.parameters;
    const template = this.#answerAtOnce(this.#footers, lines.at(-1) ?? '') ?? this.#footer;
    if (template === '') return lines;
    const { clientAddress, clientPort } = session.endpoints.current;
    const values = {
      macros: {
        client_address: clientAddress,
        client_port: clientPort,
        localtime: formatDate(now()),
        server_name: myhostname,
      },
      allowed: this.#footerCharacters,
      warn: (text: string) => this.log.warn(text),
    };
    try {
      return withFooter(lines, template, (line) => fillTemplate(line, values));
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      this.log.warn(`bad reject footer: ${error.message}`);
      return lines;
    }
  }

  /** Nobody waits for a table where this is asked. */
  #answerAtOnce(tables: TableList, key: string): string | undefined {
    try {
      const found = tables.lookup(key);
      return found instanceof Promise ? undefined : found?.value;
    } catch (error) {
      if (error instanceof TableError) return undefined;
      throw error;
    }
  }
}

const SHOWN_MAX = 100;

type ListName =
  | 'postscreen_command_filter'
  | 'postscreen_discard_ehlo_keyword_address_maps'
  | 'postscreen_dnsbl_reply_map'
  | 'postscreen_reject_footer_maps';

async function matches(match: () => Promise<{ matched: boolean }>): Promise<boolean> {
  try {
    return (await match()).matched;
  } catch (error) {
    if (error instanceof MatchListError) return false;
    throw error;
  }
}

/** A template is not expanded when it is read; but one that is just the name of another is that. */
function rawValue(configuration: Configuration, name: string): string {
  const value = configuration.unexpanded(name) ?? '';
  const other = /^\$[{(]?(\w+)[)}]?$/.exec(value)?.[1];
  return other === undefined || other === name ? value : rawValue(configuration, other);
}

function checkProxyProtocol({ postscreen_upstream_proxy_protocol: protocol }: Parameters): void {
  if (protocol === '' || protocol === 'haproxy') return;
  throw new FatalError(
    `unsupported postscreen_upstream_proxy_protocol value: ${protocol}; it can be haproxy or empty`,
  );
}
