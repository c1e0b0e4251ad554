/**
 * smtpd(8): takes mail from the network.
 *
 * Called by SMTP clients; many at once in one process. Calls trivial-rewrite (whose business is an
 * address?), cleanup (which writes the queue file), and looks into tables. It touches no file of
 * the queue. Start reading here, then session.ts. Postfix: smtpd(8).
 */
import type { Socket } from 'node:net';
import { quote, unquote } from '../../lib/address/address.ts';
import { CLEANUP_FLAG, CleanupClient, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { RESOLVE, type Resolution, RewriteClient } from '../../lib/clients/rewrite.ts';
import { monotonic } from '../../lib/clock/clock.ts';
import { splitList } from '../../lib/config/configuration.ts';
import { type MatchList, openMatchList } from '../../lib/config/match-list.ts';
import { ownAddresses } from '../../lib/config/networks.ts';
import { openResolver, type Resolver } from '../../lib/dns/resolver.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { freeSpace } from '../../lib/os/files.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import type { ParametersOf, ServiceContext } from '../../lib/server/service.ts';
import type { ParameterRules } from '../../lib/smtp/arguments.ts';
import { openTable, openTables, type TableContext } from '../../lib/table/table.ts';
import { decide, parseRestrictions, type RestrictionList, requireRelayBarrier } from './access.ts';
import type { NewlineRule } from './content-reader.ts';
import { checkListed, type Listings } from './listed.ts';
import { PARAMETERS } from './parameters.ts';
import type { Knowledge, Stage } from './restrictions.ts';
import { Session } from './session.ts';
import type { Client, Transaction } from './transaction.ts';
import type { Decision } from './verdict.ts';

type Name = (typeof PARAMETERS)[number];
type Context = ServiceContext<Name>;

/** Free space is asked of the file system at most this often. */
const SPACE_CHECK_MS = 1000;
/** No message is accepted that might not fit; Postfix wants room for one and a half. */
const SPACE_FACTOR = 1.5;

export const smtpd: ConnectionService<Name, Smtpd> = {
  name: 'smtpd',
  parameters: PARAMETERS,
  open: (context) => new Smtpd(context),
  async serve(socket: Socket, _context, state) {
    await new Session(socket, state).run();
  },
  stop: (_context, state) => state.close(),
};

/** What all sessions of a process share: configuration, tables, and whom they ask. */
export class Smtpd {
  readonly parameters: ParametersOf<Name>;
  readonly log: Log;
  readonly resolver: Resolver;
  /** What EHLO offers. */
  readonly keywords: readonly string[];
  readonly parameterRules: ParameterRules;
  readonly lists: {
    readonly client: readonly RestrictionList[];
    readonly helo: readonly RestrictionList[];
    readonly sender: readonly RestrictionList[];
    readonly recipient: readonly RestrictionList[];
    readonly data: readonly RestrictionList[];
    readonly endOfData: readonly RestrictionList[];
  };
  readonly #cleanup: CleanupClient;
  readonly #rewrite: RewriteClient;
  readonly #knowledge: Knowledge;
  readonly #mynetworks: MatchList;
  readonly #newlineExclusions: MatchList;
  readonly #limitExceptions: MatchList;
  readonly #localRewrite: MatchList | undefined;
  readonly #forbidden: MatchList;
  readonly #ignored: ReadonlySet<string>;
  readonly #connections = new Map<string, number>();
  readonly #queueDirectory: string;
  #space = { bytes: 0, checkedAt: Number.NEGATIVE_INFINITY };

  constructor({ parameters, configuration, log }: Context) {
    this.parameters = parameters;
    this.log = log;
    this.#queueDirectory = parameters.queue_directory;
    this.resolver = openResolver({ nameservers: splitList(parameters.dns_nameservers) });
    const options = clientOptions(configuration, log);
    this.#cleanup = new CleanupClient({
      ...options,
      socketPath: `public/${parameters.cleanup_service_name}`,
    });
    this.#rewrite = new RewriteClient({
      ...options,
      socketPath: `private/${parameters.rewrite_service_name}`,
    });
    const tableContext = { configuration, log };
    const table = (name: string) => openTable(name, tableContext);
    const matchList = (name: Parameters<typeof openMatchList>[1]) =>
      openMatchList(configuration, name, table);
    this.#mynetworks = matchList('mynetworks');
    this.#newlineExclusions = matchList('smtpd_forbid_bare_newline_exclusions');
    this.#limitExceptions = matchList('smtpd_client_event_limit_exceptions');
    this.#localRewrite = rewritesForMynetworks(parameters.local_header_rewrite_clients, log)
      ? this.#mynetworks
      : undefined;
    this.#forbidden = matchList('smtpd_forbidden_commands');
    this.#ignored = new Set(splitList(parameters.smtpd_noop_commands.toUpperCase()));
    const discarded = new Set(splitList(parameters.smtpd_discard_ehlo_keywords.toLowerCase()));
    this.keywords = keywordsOf(parameters).filter(
      (keyword) => !discarded.has((keyword.split(' ')[0] ?? '').toLowerCase()),
    );
    this.parameterRules = {
      dsn: !discarded.has('dsn'),
      smtputf8: parameters.smtputf8_enable && !discarded.has('smtputf8'),
    };
    const list = (name: ListName, stage: Stage) => {
      const words = splitList(parameters[name]);
      return parseRestrictions(
        name,
        stage,
        words,
        (text) => log.warn(text),
        configuration.origin(name),
      );
    };
    const relay = list('smtpd_relay_restrictions', 'recipient');
    const recipient = list('smtpd_recipient_restrictions', 'recipient');
    requireRelayBarrier([relay, recipient]);
    this.lists = {
      client: [list('smtpd_client_restrictions', 'client')],
      helo: [list('smtpd_helo_restrictions', 'helo')],
      sender: [list('smtpd_sender_restrictions', 'sender')],
      recipient: parameters.smtpd_relay_before_recipient_restrictions
        ? [relay, recipient]
        : [recipient, relay],
      data: [list('smtpd_data_restrictions', 'data')],
      endOfData: [list('smtpd_end_of_data_restrictions', 'end-of-data')],
    };
    const listings = openListings(parameters, tableContext);
    const own = ownAddresses(parameters.inet_interfaces, parameters.inet_protocols);
    this.#knowledge = {
      matchMynetworks: async (address) => {
        const { matched, pattern } = await this.#mynetworks.matchAddress(address);
        return matched ? pattern : undefined;
      },
      isOwnAddress: (address) => own.some((each) => each.address === address),
      resolve: (sender, address) => this.#resolve(sender, address),
      checkListed: async (stage, address) =>
        checkListed(stage, address, await this.#resolve('', address), listings, parameters),
      codes: parameters,
    };
  }

  close(): void {
    this.#cleanup.close();
    this.#rewrite.close();
  }

  /** Goes through restriction lists for a session; says in the log, with -v, how it went. */
  async decide(
    lists: readonly RestrictionList[],
    session: Session,
    recipient?: string,
  ): Promise<Decision> {
    const { client, helo, transaction, pipelined } = session;
    const facts = {
      clientAddress: client.address,
      clientLabel: client.label,
      helo,
      sender: transaction?.sender.address,
      recipient,
      recipientCount: transaction?.recipients.length ?? 0,
      pipelined,
    };
    const decision = await decide(lists, facts, this.#knowledge, transaction?.deferIfPermit);
    for (const step of decision.trail) {
      this.log.debug(
        `${step.parameter}: ${step.restriction}: ${step.verdict}${step.because ? ` (${step.because})` : ''}`,
      );
    }
    return decision;
  }

  /** All that has a say at RCPT, in Postfix's order. */
  async decideRecipient(session: Session, recipient: string): Promise<Decision> {
    const { lists, parameters } = this;
    const early = parameters.smtpd_delay_reject
      ? [...lists.client, ...lists.helo, ...(session.transaction ? lists.sender : [])]
      : [];
    const decision = await this.decide([...early, ...lists.recipient], session, recipient);
    if (decision.refusal !== undefined) return decision;
    const unlisted = await this.#refuseUnlisted(session, recipient);
    return unlisted === undefined ? decision : { ...decision, refusal: unlisted };
  }

  async #refuseUnlisted(session: Session, recipient: string): Promise<string | undefined> {
    const { smtpd_reject_unlisted_sender, smtpd_reject_unlisted_recipient } = this.parameters;
    const sender = session.transaction?.sender.address ?? '';
    if (smtpd_reject_unlisted_sender && sender !== '') {
      const verdict = await this.#knowledge.checkListed('sender', sender);
      if (verdict.kind === 'reject') return verdict.reply;
    }
    if (!smtpd_reject_unlisted_recipient) return undefined;
    const verdict = await this.#knowledge.checkListed('recipient', recipient);
    return verdict.kind === 'reject' ? verdict.reply : undefined;
  }

  /** A new queue file, or `undefined` when there can be none now. */
  async openMessage(transaction: Transaction): Promise<CleanupMessage | undefined> {
    const flags =
      CLEANUP_FLAG.FILTER |
      CLEANUP_FLAG.BCC_OK |
      CLEANUP_FLAG.MAP_OK |
      CLEANUP_FLAG.SMTP_REPLY |
      (transaction.smtputf8 ? CLEANUP_FLAG.SMTPUTF8 : 0);
    try {
      return await this.#cleanup.open(flags);
    } catch (error) {
      this.log.warn(`cannot reach cleanup: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Room for a message of this declared size, and some more. */
  hasSpace(sizeBytes: number): boolean {
    const { message_size_limit: limit, queue_minfree: least } = this.parameters;
    if (monotonic() - this.#space.checkedAt > SPACE_CHECK_MS) {
      this.#space = { bytes: freeSpace(this.#queueDirectory).bytes, checkedAt: monotonic() };
    }
    const { bytes } = this.#space;
    if (bytes >= least && bytes >= SPACE_FACTOR * limit && bytes >= sizeBytes) return true;
    this.log.warn(
      `not enough free space in mail queue: ${bytes} bytes < ${SPACE_FACTOR}*message size limit`,
    );
    return false;
  }

  /** Counts a client in. @returns the reply that turns it away */
  async countConnection({ address, label }: Client): Promise<string | undefined> {
    const count = (this.#connections.get(address) ?? 0) + 1;
    this.#connections.set(address, count);
    const { smtpd_client_connection_count_limit: limit, myhostname } = this.parameters;
    if (limit === 0 || count <= limit) return undefined;
    if ((await this.#limitExceptions.matchAddress(address)).matched) return undefined;
    this.log.warn(`Connection concurrency limit exceeded: ${count} from ${label} for service smtp`);
    return `421 4.7.0 ${myhostname} Error: too many connections from ${address}`;
  }

  uncountConnection({ address }: Client): void {
    const count = (this.#connections.get(address) ?? 1) - 1;
    if (count > 0) this.#connections.set(address, count);
    else this.#connections.delete(address);
  }

  async newlineRuleFor(address: string): Promise<NewlineRule> {
    const rule = newlineRule(this.parameters.smtpd_forbid_bare_newline);
    if (rule === 'accept') return rule;
    return (await this.#newlineExclusions.matchAddress(address)).matched ? 'accept' : rule;
  }

  async isLocalRewriteClient(address: string): Promise<boolean> {
    return (await this.#localRewrite?.matchAddress(address))?.matched ?? false;
  }

  async isForbidden(word: string): Promise<boolean> {
    return (await this.#forbidden.matchText(word)).matched;
  }

  isIgnored(word: string): boolean {
    return this.#ignored.has(word.toUpperCase());
  }

  /**
   * Rewriting takes the quoted form of an address; all else here is unquoted. A service that
   * can't be reached knows nothing: the client shall try again.
   */
  async #resolve(sender: string, address: string): Promise<Resolution> {
    try {
      const full = unquote(await this.#rewrite.rewrite('local', quote(address)));
      return await this.#rewrite.resolve(sender, full);
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      this.log.warn(`cannot resolve an address: ${error.message}`);
      return { transport: '', nexthop: '', recipient: address, flags: RESOLVE.FAIL };
    }
  }
}

type ListName =
  | 'smtpd_client_restrictions'
  | 'smtpd_helo_restrictions'
  | 'smtpd_sender_restrictions'
  | 'smtpd_relay_restrictions'
  | 'smtpd_recipient_restrictions'
  | 'smtpd_data_restrictions'
  | 'smtpd_end_of_data_restrictions';

/** The keywords of EHLO, in Postfix's order. smtp-replies.md 2.1. */
function keywordsOf(parameters: ParametersOf<Name>): string[] {
  const { message_size_limit: size, disable_vrfy_command, smtputf8_enable } = parameters;
  return [
    'PIPELINING',
    size === 0 ? 'SIZE' : `SIZE ${size}`,
    ...(disable_vrfy_command ? [] : ['VRFY']),
    'ETRN',
    'ENHANCEDSTATUSCODES',
    '8BITMIME',
    'DSN',
    ...(smtputf8_enable ? ['SMTPUTF8'] : []),
  ];
}

/** Postfix's `no` is not ours: a bare line feed never ends a message that a stranger sends. */
function newlineRule(value: string): NewlineRule {
  switch (value.toLowerCase()) {
    case 'no':
      return 'accept';
    case 'yes':
    case 'normalize':
      return 'normalize';
    case 'reject':
      return 'reject';
    default:
      throw new FatalError(`bad parameter value: 'smtpd_forbid_bare_newline = ${value}'`);
  }
}

/** Whose headers are completed with our domain: `permit_inet_interfaces`, `permit_mynetworks`. */
function rewritesForMynetworks(text: string, log: Log): boolean {
  const words = splitList(text);
  for (const word of words) {
    if (word === 'permit_mynetworks' || word === 'permit_inet_interfaces') continue;
    if (/^permit_(?:sasl_authenticated|tls_\w+)$/.test(word)) continue;
    log.warn(
      `local_header_rewrite_clients: "${word}" is not built in Posthaste, and matches nobody`,
    );
  }
  return words.includes('permit_mynetworks') || words.includes('permit_inet_interfaces');
}

function openListings(parameters: ParametersOf<Name>, context: TableContext): Listings {
  const open = (parameter: MapsName) =>
    openTables(parameters[parameter], { ...context, parameter });
  return {
    local: open('local_recipient_maps'),
    relay: open('relay_recipient_maps'),
    virtualMailbox: open('virtual_mailbox_maps'),
    rewritten: [
      open('canonical_maps'),
      open('recipient_canonical_maps'),
      open('virtual_alias_maps'),
    ],
  };
}

type MapsName =
  | 'local_recipient_maps'
  | 'relay_recipient_maps'
  | 'virtual_alias_maps'
  | 'virtual_mailbox_maps'
  | 'canonical_maps'
  | 'recipient_canonical_maps';
