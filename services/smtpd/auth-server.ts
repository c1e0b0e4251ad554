/** Who checks passwords for smtpd, and which mechanisms a client may use: smtpd_sasl_*. */
import { splitList } from '../../lib/config/configuration.ts';
import { type MatchList, MatchListError, openMatchList } from '../../lib/config/match-list.ts';
import {
  type Fault,
  type SaslBackEnd,
  type SaslExchange,
  SaslTrouble,
} from '../../lib/sasl/exchange.ts';
import {
  isAllowed,
  type Mechanism,
  parseSecurityRules,
  type SecurityRules,
} from '../../lib/sasl/mechanism.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { openTable } from '../../lib/table/table.ts';
import type { PARAMETERS } from './parameters.ts';
import type { Session } from './session.ts';

type Context = ServiceContext<(typeof PARAMETERS)[number]>;
/** What is asked of a session. */
type Asker = Pick<Session, 'client' | 'isEncrypted'>;

/** Where a client may log in without TLS. */
const OPEN_LEVELS: ReadonlySet<string> = new Set(['none', 'may']);

export class AuthServer {
  readonly #context: Context;
  readonly #backEnd: SaslBackEnd;
  readonly #rules: SecurityRules;
  readonly #tlsRules: SecurityRules;
  readonly #filter: MatchList;
  readonly #exceptions: MatchList | undefined;
  readonly #onlyEncrypted: boolean;
  /** The back end did not answer when it was last asked. */
  isDown = false;
  /** What the back end could do when it was last asked. */
  #known: readonly Mechanism[] = [];
  /** Mechanisms that the filter lets through, for each answer of the back end. */
  readonly #filtered = new WeakMap<readonly Mechanism[], Promise<readonly Mechanism[]>>();

  constructor(context: Context, backEnd: SaslBackEnd) {
    const { parameters, configuration, tables } = context;
    this.#context = context;
    const rules = (name: 'smtpd_sasl_security_options' | 'smtpd_sasl_tls_security_options') =>
      parseSecurityRules(splitList(parameters[name]), name);
    this.#rules = rules('smtpd_sasl_security_options');
    this.#tlsRules = rules('smtpd_sasl_tls_security_options');
    const matchList = (name: Parameters<typeof openMatchList>[1]) =>
      openMatchList(configuration, name, (table) => openTable(table, tables));
    this.#filter = matchList('smtpd_sasl_mechanism_filter');
    this.#exceptions =
      parameters.smtpd_sasl_exceptions_networks === ''
        ? undefined
        : matchList('smtpd_sasl_exceptions_networks');
    this.#onlyEncrypted = requiresEncryption(parameters);
    this.#backEnd = backEnd;
  }

  /** Whether anybody may log in over such a channel. */
  serves({ isEncrypted }: Pick<Asker, 'isEncrypted'>): boolean {
    return isEncrypted || !this.#onlyEncrypted;
  }

  /** smtpd_sasl_exceptions_networks: who is not told that there is AUTH; it may be used all the same. */
  async isHiddenFrom({ client }: Pick<Asker, 'client'>): Promise<boolean> {
    if (this.#exceptions === undefined) return false;
    try {
      return (await this.#exceptions.matchClient(client.name, client.address)).matched;
    } catch (error) {
      if (error instanceof MatchListError) return true;
      throw error;
    }
  }

  /** The mechanisms for a client that may log in; none when nobody knows them. */
  async mechanisms({ isEncrypted }: Pick<Asker, 'isEncrypted'>): Promise<readonly string[]> {
    try {
      this.#known = await this.#backEnd.mechanisms();
      this.isDown = false;
    } catch (error) {
      // Its troubles may be over when the client comes to AUTH.
      if (!(error instanceof SaslTrouble)) throw error;
      this.isDown = true;
    }
    let filtered = this.#filtered.get(this.#known);
    if (filtered === undefined) {
      filtered = this.#filterMechanisms(this.#known);
      this.#filtered.set(this.#known, filtered);
    }
    const rules = isEncrypted ? this.#tlsRules : this.#rules;
    return (await filtered).filter((each) => isAllowed(each, rules)).map(({ name }) => name);
  }

  begin(mechanism: string, { client, isEncrypted }: Asker): SaslExchange {
    return this.#backEnd.begin({
      mechanism,
      service: this.#context.parameters.smtpd_sasl_service,
      serverAddress: client.serverAddress,
      clientAddress: client.address,
      isEncrypted,
    });
  }

  explain(fault: Fault, mechanism: string): string {
    return this.#backEnd.explain(fault, mechanism);
  }

  close(): void {
    this.#backEnd.close();
  }

  async #filterMechanisms(all: readonly Mechanism[]): Promise<readonly Mechanism[]> {
    const passes = await Promise.all(all.map(({ name }) => this.#passes(name)));
    const left = all.filter((_mechanism, at) => passes[at]);
    if (left.length === 0 && all.length > 0) {
      const names = all.map(({ name }) => name).join(' ');
      this.#context.log.warn(`smtpd_sasl_mechanism_filter discards all mechanisms in '${names}'`);
    }
    return left;
  }

  async #passes(name: string): Promise<boolean> {
    try {
      return (await this.#filter.matchText(name)).matched;
    } catch (error) {
      if (!(error instanceof MatchListError)) throw error;
      this.#context.log.warn(error.message);
      return false;
    }
  }
}

function requiresEncryption(parameters: Context['parameters']): boolean {
  const { smtpd_tls_auth_only, smtpd_tls_security_level: level, smtpd_enforce_tls } = parameters;
  const isMandatory = level === '' ? smtpd_enforce_tls : !OPEN_LEVELS.has(level.toLowerCase());
  return smtpd_tls_auth_only || isMandatory;
}
