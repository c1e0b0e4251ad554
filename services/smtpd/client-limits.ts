/** What a client may do how often: `smtpd_client_*_limit`. anvil counts, we refuse. */
import type { AnvilClient, AnvilVisit } from '../../lib/clients/anvil.ts';
import type { Log } from '../../lib/log/log.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { PARAMETERS } from './parameters.ts';
import type { Client } from './transaction.ts';

/** What is counted while a client is with us. */
export type LimitedEvent = keyof typeof EVENTS;

type Parameters = ParametersOf<(typeof PARAMETERS)[number]>;

const EVENTS = {
  message: {
    parameter: 'smtpd_client_message_rate_limit',
    refusal: 'too much mail',
    what: 'Message delivery request',
  },
  recipient: {
    parameter: 'smtpd_client_recipient_rate_limit',
    refusal: 'too many recipients',
    what: 'Recipient address',
  },
  auth: {
    parameter: 'smtpd_client_auth_rate_limit',
    refusal: 'too many AUTH commands',
    what: 'AUTH command',
  },
} as const;

const LIMITS = [
  'smtpd_client_connection_count_limit',
  'smtpd_client_connection_rate_limit',
  'smtpd_client_new_tls_session_rate_limit',
  ...Object.values(EVENTS).map(({ parameter }) => parameter),
] as const;

/** Whether there is anything to count. */
export function hasClientLimits(parameters: Parameters): boolean {
  return LIMITS.some((name) => parameters[name] > 0);
}

export interface LimitSettings {
  readonly parameters: Parameters;
  readonly serviceName: string;
  readonly anvil: AnvilClient;
  readonly log: Log;
}

/** The limits of one client that is not excused from them. */
export class ClientLimits {
  readonly #settings: LimitSettings;
  readonly #client: Client;
  readonly #visit: AnvilVisit;
  /** How often the client is connected now; 0 when nobody can tell. */
  connections = 0;

  constructor(client: Client, settings: LimitSettings) {
    this.#client = client;
    this.#settings = settings;
    this.#visit = settings.anvil.visit(`${settings.serviceName}:${client.address}`);
  }

  /** Counts the client in. @returns the reply that turns it away */
  async connect(): Promise<string | undefined> {
    const counts = await this.#visit.connect();
    if (counts === undefined) return undefined;
    this.connections = counts.count;
    const {
      smtpd_client_connection_count_limit: countLimit,
      smtpd_client_connection_rate_limit: rateLimit,
      myhostname,
    } = this.#settings.parameters;
    if (isOver(counts.count, countLimit)) this.#warn('Connection concurrency', counts.count);
    else if (isOver(counts.rate, rateLimit)) this.#warn('Connection rate', counts.rate);
    else return undefined;
    return `421 4.7.0 ${myhostname} Error: too many connections from ${this.#client.address}`;
  }

  /** Counts what the client is about to do. @returns the reply that refuses it */
  async refusal(event: LimitedEvent): Promise<string | undefined> {
    const { parameter, refusal, what } = EVENTS[event];
    const limit = this.#settings.parameters[parameter];
    if (limit === 0) return undefined;
    const count = await this.#visit.count(event);
    if (count === undefined || !isOver(count, limit)) return undefined;
    this.#warn(`${what} rate`, count);
    return `450 4.7.1 Error: ${refusal} from ${this.#client.address}`;
  }

  /** Whether the client has begun so many TLS sessions that it gets no more; counts nothing. */
  async hasTooManyHandshakes(): Promise<boolean> {
    const { smtpd_client_new_tls_session_rate_limit: limit } = this.#settings.parameters;
    return limit > 0 && isOver((await this.#visit.newTlsRate()) ?? 0, limit);
  }

  /** Counts a TLS session that was not resumed. @returns whether it is one too many */
  async hasNewTlsSession(): Promise<boolean> {
    const { smtpd_client_new_tls_session_rate_limit: limit } = this.#settings.parameters;
    if (limit === 0) return false;
    const count = await this.#visit.count('newtls');
    if (count === undefined || !isOver(count, limit)) return false;
    this.#warn('New TLS session rate', count);
    return true;
  }

  /** The client has gone. */
  disconnect(): Promise<void> {
    return this.#visit.disconnect();
  }

  #warn(what: string, count: number): void {
    const { log, serviceName } = this.#settings;
    log.warn(
      `${what} limit exceeded: ${count} from ${this.#client.label} for service ${serviceName}`,
    );
  }
}

function isOver(count: number, limit: number): boolean {
  return limit > 0 && count > limit;
}
