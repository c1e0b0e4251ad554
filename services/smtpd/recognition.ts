/** What a client may do because of who it is: lists of names and addresses in main.cf. */
import { type MatchAnswer, type MatchList, MatchListError } from '../../lib/config/match-list.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { NewlineRule } from './content-reader.ts';
import type { Keywords } from './keywords.ts';
import type { LocalRewrite } from './local-rewrite.ts';
import type { Client } from './transaction.ts';

const LISTS = [
  'mynetworks',
  'smtpd_authorized_verp_clients',
  'smtpd_authorized_xclient_hosts',
  'smtpd_authorized_xforward_hosts',
  'smtpd_client_event_limit_exceptions',
  'smtpd_forbid_bare_newline_exclusions',
] as const;

/** What is known of clients elsewhere. */
export interface RecognitionOptions {
  readonly settings: ParametersOf<'smtpd_forbid_bare_newline'>;
  readonly openList: (parameter: (typeof LISTS)[number]) => MatchList;
  readonly keywords: Keywords;
  readonly localRewrite: LocalRewrite;
  /** The client is a user of this machine. */
  readonly isStandalone: boolean;
}

export class Recognition {
  readonly #options: RecognitionOptions;
  readonly #newlineRule: NewlineRule;
  readonly #networks: MatchList;
  readonly #newlineExclusions: MatchList;
  readonly #limitExceptions: MatchList;
  readonly #verpClients: MatchList;
  readonly #xclientHosts: MatchList;
  readonly #xforwardHosts: MatchList;

  constructor(options: RecognitionOptions) {
    const { settings, openList } = options;
    this.#options = options;
    this.#newlineRule = newlineRule(settings.smtpd_forbid_bare_newline);
    this.#networks = openList('mynetworks');
    this.#newlineExclusions = openList('smtpd_forbid_bare_newline_exclusions');
    this.#limitExceptions = openList('smtpd_client_event_limit_exceptions');
    this.#verpClients = openList('smtpd_authorized_verp_clients');
    this.#xclientHosts = openList('smtpd_authorized_xclient_hosts');
    this.#xforwardHosts = openList('smtpd_authorized_xforward_hosts');
  }

  /** Finds out what a client may do, once its name is known. */
  async recognize(client: Client): Promise<Client> {
    const { name, address } = client;
    const { isStandalone, keywords, localRewrite } = this.#options;
    const ask = (list: MatchList, isAsked = true) =>
      isAsked ? patternOf(list, name, address) : undefined;
    const asked = [
      ask(this.#networks),
      ask(this.#newlineExclusions, this.#newlineRule !== 'accept'),
      ask(this.#xclientHosts, !isStandalone),
      ask(this.#xforwardHosts, !isStandalone && client.mayXforward === undefined),
      ask(this.#verpClients),
    ];
    const [network, ...others] = asked.some((each) => each instanceof Promise)
      ? await Promise.all(asked)
      : (asked as Pattern[]);
    const [isExcused = false, mayXclient = false, isForwarder = false, verp = false] = others.map(
      (pattern) => typeof pattern === 'string',
    );
    const excused = this.#newlineRule === 'accept' || isExcused;
    const mayXforward = client.mayXforward ?? isForwarder;
    const privileges = { verp, xclient: mayXclient, xforward: mayXforward };
    return {
      ...client,
      network,
      isLocalRewrite: localRewrite.ofClient({ ...client, network }),
      offer: await keywords.offerTo(address, privileges),
      newlines: excused ? 'accept' : this.#newlineRule,
      mayXclient,
      mayXforward,
    };
  }

  /** smtpd_client_event_limit_exceptions. */
  async isUnlimited({ name, address }: Client): Promise<boolean> {
    return typeof (await patternOf(this.#limitExceptions, name, address)) === 'string';
  }
}

/** The pattern that a client matches, if any; `failed` when the list can't tell. */
type Pattern = string | undefined | { readonly failed: string };

export function patternOf(
  list: MatchList,
  name: string,
  address: string,
): Pattern | Promise<Pattern> {
  try {
    const answer = list.matchClient(name, address);
    return answer instanceof Promise ? answer.then(patternIn, failedIn) : patternIn(answer);
  } catch (error) {
    return failedIn(error);
  }
}

function patternIn({ matched, pattern }: MatchAnswer): Pattern {
  return matched ? pattern : undefined;
}

function failedIn(error: unknown): Pattern {
  if (error instanceof MatchListError) return { failed: error.message };
  throw error;
}

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

/** Whether a list has a word; a list that can't tell has it not. */
export async function matches(list: MatchList, word: string): Promise<boolean> {
  try {
    return (await list.matchText(word)).matched;
  } catch (error) {
    if (error instanceof MatchListError) return false;
    throw error;
  }
}
