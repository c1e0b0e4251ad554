/**
 * smtpd(8): takes mail from the network.
 *
 * Called by SMTP clients; many at once in one process. Calls trivial-rewrite (whose business is an
 * address?), cleanup (which writes the queue file), flush (for ETRN), anvil (which counts clients),
 * verify, policy servers, and looks into tables. It touches no file of the queue. Start reading here, then
 * session.ts. Postfix: smtpd(8).
 */
import type { Socket } from 'node:net';
import { quote, unquote } from '../../lib/address/address.ts';
import { AnvilClient } from '../../lib/clients/anvil.ts';
import { CLEANUP_FLAG, CleanupClient, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { FlushClient } from '../../lib/clients/flush.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { receiveMask } from '../../lib/clients/receive-overrides.ts';
import { RESOLVE, type Resolution, RewriteClient } from '../../lib/clients/rewrite.ts';
import { VerifyClient } from '../../lib/clients/verify.ts';
import { monotonic } from '../../lib/clock/clock.ts';
import { hasOldDefault } from '../../lib/config/compatibility.ts';
import { type Configuration, splitList } from '../../lib/config/configuration.ts';
import { ExpansionError } from '../../lib/config/expand.ts';
import { type MatchList, openMatchList, parentDomainMatches } from '../../lib/config/match-list.ts';
import { type Family, parseProtocols } from '../../lib/config/networks.ts';
import { openResolver, type Resolver } from '../../lib/dns/resolver.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import type { Log } from '../../lib/log/log.ts';
import type { Endpoints } from '../../lib/net/proxy-header.ts';
import { freeSpace } from '../../lib/os/files.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import type { ParametersOf, ServiceContext } from '../../lib/server/service.ts';
import { withFooter } from '../../lib/smtp/reject-footer.ts';
import { openTable, openTables, TableError, type TableList } from '../../lib/table/table.ts';
import type { ServerTls } from '../../lib/tls/server-tls.ts';
import { decide } from './access.ts';
import { openBackEnd } from './auth-back-end.ts';
import { AuthServer } from './auth-server.ts';
import { BeforeQueue } from './before-queue.ts';
import { ClientLimits, hasClientLimits, type LimitSettings } from './client-limits.ts';
import { oldDefaultsOf } from './compatibility.ts';
import type { Doors, PolicySource } from './doors.ts';
import type { EnvelopeFacts } from './envelope.ts';
import { Keywords } from './keywords.ts';
import { openKnowledge } from './knowledge.ts';
import { LocalRewrite } from './local-rewrite.ts';
import type { Login } from './login.ts';
import { Notices } from './notices.ts';
import { type Pace, readPaceUnderStress } from './pace.ts';
import { PARAMETERS } from './parameters.ts';
import { PolicyClient } from './policy-client.ts';
import { parsePolicyServer } from './policy-server.ts';
import { matches, Recognition } from './recognition.ts';
import { expandReply, type MacroFacts, sessionMacros } from './reply-macros.ts';
import { type RestrictionLists, readRestrictionLists } from './restriction-lists.ts';
import { RestrictionParser } from './restriction-parser.ts';
import type { Knowledge, MessageFacts, RestrictionList } from './rule.ts';
import { LOGIN_CLASSES } from './sender-login.ts';
import { Session } from './session.ts';
import { MilterChoice } from './session-milters.ts';
import { openTls } from './tls.ts';
import type { Client, GivenAddress, Transaction } from './transaction.ts';
import { checkUpstream, clientEndpoints, UpstreamError } from './upstream-proxy.ts';
import { type Decision, reasonText, type Step } from './verdict.ts';

type Name = (typeof PARAMETERS)[number];
type Context = ServiceContext<Name>;

/** A client had better come back than wait for long. */
const PATIENCE = { tries: 3, pauseMs: 1000 };
/** Free space is asked of the file system at most this often. */
const SPACE_CHECK_MS = 1000;
/** No message is accepted that might not fit; Postfix wants room for one and a half. */
const SPACE_FACTOR = 1.5;

export const smtpd: ConnectionService<Name, Smtpd> = {
  name: 'smtpd',
  parameters: PARAMETERS,
  // The client itself, cleanup, and two of milters and servers that are asked.
  filesPerSlot: 4,
  open: (context) => new Smtpd(context),
  async serve(socket: Socket, _context, state, passed) {
    await new Session(socket, state, passed ?? (await state.endpointsOf(socket))).run();
  },
  // The header of a proxy is read from one of Node's.
  takesLightSockets: ({ parameters }) => parameters.smtpd_upstream_proxy_protocol === '',
  stop: (_context, state) => state.close(),
};

/** What all sessions of a process share: configuration, tables, and whom they ask. */
export class Smtpd {
  readonly parameters: ParametersOf<Name>;
  readonly log: Log;
  readonly resolver: Resolver;
  readonly keywords: Keywords;
  readonly lists: RestrictionLists;
  /** `undefined`: nobody can log in. */
  readonly auth: AuthServer | undefined;
  readonly serviceName: string;
  /** `undefined`: it is switched off. */
  readonly tls: ServerTls | undefined;
  /** The address families of inet_protocols. */
  readonly families: readonly Family[];
  /** `sendmail -bs`: the client is a user of this machine. */
  readonly isStandalone: boolean;
  /** Addresses may be any bytes, and the log says so: compatibility_level is old. */
  readonly acceptsBytes: boolean;
  /** smtpd_command_filter. */
  readonly commandFilter: TableList | undefined;
  /** local_header_rewrite_clients. */
  readonly localRewrite: LocalRewrite;
  /** notify_classes; `undefined`: there is nobody to tell. */
  readonly notices: Notices | undefined;
  /** smtpd_proxy_filter. */
  readonly beforeQueue: BeforeQueue | undefined;
  /** Sessions under way. */
  sessions = 0;
  readonly #slots: number;
  readonly #underStress: Pace | undefined;
  /** Which clients have milters; undefined: none has. */
  readonly milterChoice: MilterChoice | undefined;
  /** There are `smtpd_noop_commands`. */
  readonly hasIgnoredCommands: boolean;
  readonly #doors: Partial<Doors>;
  readonly #cleanup: Doors['cleanup'];
  readonly #rewrite: Doors['rewrite'];
  readonly #flush: FlushClient;
  readonly #verify: Doors['verify'];
  readonly #knowledge: Knowledge;
  readonly #recognition: Recognition;
  readonly #forbidden: MatchList;
  readonly #ignored: MatchList;
  /** Nobody has a limit without it. */
  readonly #limits: LimitSettings | undefined;
  /** There may be something to add to a refusal. */
  readonly hasFooters: boolean;
  readonly #footers: TableList;
  /** receive_override_options: what is left to be asked of cleanup. */
  readonly #receiveMask: number;
  readonly #policies: PolicySource[] = [];
  #messages = 0;
  #space = { bytes: 0, checkedAt: Number.NEGATIVE_INFINITY };

  /** @param doors whom to ask instead of the services of a running mail system */
  constructor(context: Context, doors: Partial<Doors> = {}) {
    const { parameters, configuration, log } = context;
    this.#doors = doors;
    this.parameters = parameters;
    this.log = log;
    this.isStandalone = context.standalone;
    this.#slots = context.slots;
    this.#underStress = readPaceUnderStress(context);
    this.serviceName = context.serviceName;
    this.tls = openTls(context, doors.shakesHands);
    this.resolver =
      doors.resolver ?? openResolver({ nameservers: splitList(parameters.dns_nameservers) });
    this.beforeQueue =
      context.standalone || parameters.smtpd_proxy_filter === ''
        ? undefined
        : new BeforeQueue(parameters, this.resolver, log);
    const options = { ...clientOptions(configuration, log), patience: PATIENCE };
    this.#cleanup =
      doors.cleanup ??
      new CleanupClient({
        ...options,
        socketPath: `public/${parameters.cleanup_service_name}`,
      });
    this.notices =
      context.standalone || doors.cleanup !== undefined
        ? undefined
        : new Notices(parameters, this.#cleanup as CleanupClient, log);
    this.#rewrite =
      doors.rewrite ??
      new RewriteClient({
        ...options,
        socketPath: `private/${parameters.rewrite_service_name}`,
      });
    this.#flush = new FlushClient({
      ...options,
      socketPath: `public/${parameters.flush_service_name}`,
      oldDefault: hasOldDefault(configuration, 'fast_flush_domains'),
    });
    this.#verify =
      doors.verify ??
      new VerifyClient({
        ...options,
        socketPath: `private/${parameters.address_verify_service_name}`,
      });
    this.#limits =
      context.standalone || !hasClientLimits(parameters)
        ? undefined
        : {
            parameters,
            serviceName: context.serviceName,
            anvil: new AnvilClient(clientOptions(configuration, log)),
            log,
          };
    this.#receiveMask = receiveMask(parameters.receive_override_options);
    this.auth =
      parameters.smtpd_sasl_auth_enable && !context.standalone
        ? new AuthServer(context, doors.sasl ?? openBackEnd(context, this.resolver))
        : undefined;
    const { tables } = context;
    // Whoever only asks what would become of a message does not show it to anybody.
    const hasMilters =
      !context.standalone &&
      doors.cleanup === undefined &&
      (this.#receiveMask & CLEANUP_FLAG.MILTER) !== 0;
    this.milterChoice = !hasMilters
      ? undefined
      : MilterChoice.open({ parameters, log, resolver: this.resolver, tables });
    const matchList = (name: Parameters<typeof openMatchList>[1]) =>
      openMatchList(configuration, name, (table) => openTable(table, tables));
    this.#forbidden = matchList('smtpd_forbidden_commands');
    this.#ignored = matchList('smtpd_noop_commands');
    this.hasIgnoredCommands = parameters.smtpd_noop_commands !== '';
    const warn = (text: string) => log.warn(text);
    const exceptions = 'smtpd_discard_ehlo_keyword_address_maps';
    const { smtpd_reject_footer, smtpd_reject_footer_maps } = parameters;
    this.#footers = openTables(smtpd_reject_footer_maps, {
      ...tables,
      parameter: 'smtpd_reject_footer_maps',
    });
    this.hasFooters = smtpd_reject_footer !== '' || smtpd_reject_footer_maps !== '';
    this.keywords = new Keywords(
      { ...parameters, offersTls: this.tls?.demands.isWrapped === false },
      openTables(parameters[exceptions], { ...tables, parameter: exceptions }),
      warn,
    );
    const parser = new RestrictionParser({
      openTable: (name) => openTables(name, { ...tables, parameter: 'access table' }),
      openPolicy: (text) => this.#openPolicy(text),
      parentDomains: parentDomainMatches(configuration, 'smtpd_access_maps'),
      classes: readClasses(parameters.smtpd_restriction_classes, configuration),
      warn,
    });
    const oldDefaults = oldDefaultsOf(configuration);
    this.lists = readRestrictionLists(parameters, configuration, parser, oldDefaults);
    this.acceptsBytes = oldDefaults.smtputf8;
    this.families = parseProtocols(parameters.inet_protocols);
    checkUpstream(parameters);
    const filter = 'smtpd_command_filter';
    const commandFilter = openTables(parameters[filter], { ...tables, parameter: filter });
    this.commandFilter = commandFilter.tables.length > 0 ? commandFilter : undefined;
    this.#knowledge = openKnowledge(context, {
      families: this.families,
      resolver: this.resolver,
      verify: this.#verify,
      oldDefaults,
    });
    const rewriteClients = 'local_header_rewrite_clients';
    this.localRewrite = new LocalRewrite(
      parameters[rewriteClients],
      (name) => openTables(name, { ...tables, parameter: name }),
      this.#knowledge,
    );
    this.#recognition = new Recognition({
      settings: parameters,
      openList: matchList,
      keywords: this.keywords,
      localRewrite: this.localRewrite,
      isStandalone: this.isStandalone,
    });
  }

  close(): void {
    this.#cleanup.close();
    this.#rewrite.close();
    this.#flush.close();
    this.auth?.close();
    this.#limits?.anvil.close();
    this.#verify.close();
    this.tls?.close();
    for (const policy of this.#policies) policy.close();
  }

  /** Who a client is; `undefined` when the proxy in front of us did not say. */
  async endpointsOf(socket: Socket): Promise<Endpoints | undefined> {
    try {
      return await clientEndpoints(socket, this.parameters, this.families);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      this.log.warn(error.message);
      return undefined;
    }
  }

  /** How long a session that begins now may take, and how often it may err. */
  get pace(): Pace {
    return this.sessions >= this.#slots ? (this.#underStress ?? this.parameters) : this.parameters;
  }

  /** smtpd_reject_footer_maps, smtpd_reject_footer. */
  addFooter(reply: readonly string[], facts: MacroFacts): readonly string[] {
    const { parameters } = this;
    const template = this.#footerFor(reply.at(-1) ?? '') ?? parameters.smtpd_reject_footer;
    if (template === '') return reply;
    const warn = (text: string) => this.log.warn(text);
    const expansion = { macros: sessionMacros(facts, parameters), settings: parameters, warn };
    try {
      return withFooter(reply, template, (line) => expandReply(line, expansion));
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      this.log.warn(`bad reject footer: ${error.message}`);
      return reply;
    }
  }

  #footerFor(reply: string): string | undefined {
    try {
      const found = this.#footers.lookup(reply);
      // A refusal does not wait for what is only an addition to it.
      return found instanceof Promise ? undefined : found?.value;
    } catch (error) {
      if (error instanceof TableError) return undefined;
      throw error;
    }
  }

  /** Names one message of this process, as `smtpd_access_policy` wants it. */
  nextInstance(arrival: number): string {
    const seconds = Math.floor(arrival / 1000);
    const microseconds = Math.floor((arrival - seconds * 1000) * 1000);
    this.#messages += 1;
    return [process.pid, seconds, microseconds, this.#messages]
      .map((number) => number.toString(16))
      .join('.');
  }

  #openPolicy(text: string): PolicySource {
    const server = parsePolicyServer(text, this.parameters);
    const policy =
      this.#doors.openPolicy?.(server) ?? new PolicyClient(server, this.resolver, this.log);
    this.#policies.push(policy);
    return policy;
  }

  /** Finds out what a client may do, once its name is known. */
  recognize(client: Client): Promise<Client> {
    return this.#recognition.recognize(client);
  }

  /** A client that has logged in; without a login, one whose login has ended: with TLS all begins anew. */
  withLogin(client: Client, login: Login | undefined): Client {
    const known = { ...client, login };
    return { ...known, isLocalRewrite: this.localRewrite.ofClient(known) };
  }

  /** Goes through restriction lists for a session; says in the log, with -v, how it went. */
  async decide(
    lists: readonly RestrictionList[],
    session: Session,
    { recipient, etrnDomain, deferred }: Concern = {},
  ): Promise<Decision> {
    const { client, helo, transaction, pipelined, isEncrypted, tls } = session;
    const facts = {
      client,
      isEncrypted,
      isLoginDown: this.auth?.isDown === true,
      tls,
      helo,
      sender: transaction?.sender.address,
      senderRoute: transaction?.sender.route,
      recipient: recipient?.address,
      recipientRoute: recipient?.route,
      recipientCount: transaction?.recipients.length ?? 0,
      etrnDomain,
      pipelined,
      command: session.stage,
      protocol: session.protocol,
      message: transaction && messageFacts(session, transaction),
    };
    const found = (this.#doors.decide ?? decide)(lists, facts, this.#knowledge, deferred);
    const decision = found instanceof Promise ? await found : found;
    if (this.log.isVerbose) {
      for (const step of decision.trail) this.log.debug(stepText(step));
    }
    return decision;
  }

  /** Where mail for an address goes. It can't be asked: then the client shall try again. */
  async resolve(sender: string, address: string): Promise<Resolution> {
    try {
      // Rewriting takes the quoted form of an address; all else here is unquoted.
      const full = unquote(await this.#rewrite.rewrite('local', quote(address)));
      return await this.#rewrite.resolve(sender, full);
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      this.log.warn(`cannot resolve an address: ${error.message}`);
      return { transport: '', nexthop: '', recipient: address, flags: RESOLVE.FAIL };
    }
  }

  /** A new queue file, or `undefined` when there can be none now. */
  async openMessage(
    transaction: Transaction,
    hasMilters: boolean,
  ): Promise<CleanupMessage | undefined> {
    const flags =
      CLEANUP_FLAG.FILTER |
      CLEANUP_FLAG.BCC_OK |
      CLEANUP_FLAG.MAP_OK |
      CLEANUP_FLAG.SMTP_REPLY |
      (transaction.smtputf8 ? CLEANUP_FLAG.SMTPUTF8 : 0) |
      (hasMilters ? CLEANUP_FLAG.MILTER : 0);
    try {
      return await this.#cleanup.open(flags & this.#receiveMask);
    } catch (error) {
      this.log.warn(`cannot reach cleanup: ${(error as Error).message}`);
      return undefined;
    }
  }

  envelopeFacts(
    { client, helo, protocol, forwarded }: Session,
    transaction: Transaction,
    { queueId }: CleanupMessage,
  ): EnvelopeFacts {
    const { content_filter: contentFilter, default_verp_delimiters } = this.parameters;
    const portLogging = this.parameters.smtpd_client_port_logging;
    return {
      ...{ queueId, client, transaction, helo, protocol, forwarded },
      ...{ contentFilter, default_verp_delimiters, portLogging },
    };
  }

  /** Has the mail for a site tried now. @returns FLUSH_STATUS */
  flushSite(domain: string): Promise<number> {
    return this.#flush.sendSite(domain);
  }

  /** Whether there is no room for a message of this size, and some more: what the log says then. */
  spaceShortage(sizeBytes: number): string | undefined {
    const { message_size_limit: limit, queue_minfree: least } = this.parameters;
    if (monotonic() - this.#space.checkedAt > SPACE_CHECK_MS) {
      this.#space = { bytes: freeSpace('.').bytes, checkedAt: monotonic() };
    }
    const { bytes } = this.#space;
    if (bytes > least && bytes >= SPACE_FACTOR * limit && bytes >= sizeBytes) return undefined;
    return `not enough free space in mail queue: ${bytes} bytes < ${SPACE_FACTOR}*message size limit`;
  }

  /** The limits of a client; `undefined` for one that has none, or that speaks for others. */
  async limitsOf(client: Client): Promise<ClientLimits | undefined> {
    if (this.#limits === undefined || client.mayXclient) return undefined;
    if (await this.#recognition.isUnlimited(client)) return undefined;
    return new ClientLimits(client, this.#limits);
  }

  /** smtpd_forbidden_commands; trouble with a table is not worth losing a client. */
  isForbidden(word: string): Promise<boolean> {
    return matches(this.#forbidden, word);
  }

  /** smtpd_noop_commands. */
  isIgnored(word: string): Promise<boolean> {
    return matches(this.#ignored, word);
  }
}

/** A step of a decision, for the log. */
function stepText({ parameter, restriction, verdict, because }: Step): string {
  const why = because === undefined ? '' : ` (${reasonText(because)})`;
  return `${parameter}: ${restriction}: ${verdict}${why}`;
}

function messageFacts(session: Session, transaction: Transaction): MessageFacts {
  return {
    isHeld: transaction.orders.isHeld,
    queueId: transaction.message?.queueId,
    // Before it has a sender, a message is none.
    instance: session.stage === 'MAIL' ? '' : transaction.instance,
    saslSender: transaction.saslSender,
    sizeBytes: session.messageBytes,
    onlyRecipient:
      session.stage === 'DATA' || session.stage === 'END-OF-MESSAGE'
        ? session.onlyRecipient
        : undefined,
  };
}

/** What a decision is about, beside the client. */
export interface Concern {
  readonly recipient?: GivenAddress | undefined;
  readonly etrnDomain?: string;
  /** A reason from an earlier stage to refuse what is permitted here. */
  readonly deferred?: string;
}

/** smtpd_restriction_classes: the members of each. */
function readClasses(names: string, configuration: Configuration): Map<string, string> {
  const own = splitList(names).map((name) => [name, configuration.text(name)] as const);
  return new Map([...LOGIN_CLASSES, ...own]);
}
