/**
 * What smtpd would answer a client: a session of the real kind with a client that is not there,
 * where nobody outside this process is asked, and nothing comes of it. `postfix explain`.
 */

import { openResolver } from '../../lib/dns/resolver.ts';
import type { LogEvent } from '../../lib/log/event.ts';
import { formatEvent } from '../../lib/log/line.ts';
import type { Log } from '../../lib/log/log.ts';
import { socketEndpoints } from '../../lib/net/proxy-header.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { decide } from './access.ts';
import { UNKNOWN } from './client-name.ts';
import type { Doors } from './doors.ts';
import { MemoryClient } from './memory-socket.ts';
import { offlineResolver, Unasked } from './offline-resolver.ts';
import { PARAMETERS } from './parameters.ts';
import { PolicyClient } from './policy-client.ts';
import type { RestrictionList, Rule } from './rule.ts';
import { Smtpd } from './service.ts';
import { Session } from './session.ts';
import type { Client } from './transaction.ts';
import type { Decision, Reason, Verdict } from './verdict.ts';

/** What a client is called whose name nobody knows. */
export const NAME_UNKNOWN = UNKNOWN;

type Context = ServiceContext<(typeof PARAMETERS)[number]>;

export const WHAT_IF_PARAMETERS = PARAMETERS;

/** What smtpd does besides deciding: none of it happens. The value is what it is set to. */
export const SUPPRESSED: Readonly<Record<string, string>> = {
  // A delay helps nobody here, nor do limits of how often a client comes.
  smtpd_error_sleep_time: '0',
  smtpd_client_connection_count_limit: '0',
  smtpd_client_connection_rate_limit: '0',
  smtpd_client_message_rate_limit: '0',
  smtpd_client_recipient_rate_limit: '0',
  // There is nobody to shake hands with.
  smtpd_tls_wrappermode: 'no',
};

/** A client, and what it says. */
export interface Question {
  readonly address: string;
  /** Its verified name; `undefined`: not said. */
  readonly name: string | undefined;
  /** '': it says neither HELO nor EHLO. */
  readonly helo: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Whom it is logged in as. */
  readonly login: string | undefined;
  /** The session is encrypted. */
  readonly hasTls: boolean;
  /** Whether the DNS and policy servers are asked. */
  readonly asksDns: boolean;
  readonly asksPolicies: boolean;
}

/** The restriction lists that were gone through, and what they decided. */
export interface Judgement {
  readonly lists: readonly RestrictionList[];
  readonly decision: Decision;
}

/** One command, and what came of it. */
export interface Exchange {
  /** `CONNECT`, or what the client says. */
  readonly command: string;
  /** Its lines joined by `\n`; '': the server hangs up. */
  readonly reply: string;
  readonly judgements: readonly Judgement[];
  /** What the log would say. */
  readonly log: readonly string[];
}

export interface Answered {
  readonly client: Client;
  readonly exchanges: readonly Exchange[];
  /** Reasons that only say whom smtpd would ask. */
  readonly unasked: ReadonlySet<Reason>;
}

/** These look at the client's name alone. */
const NAME_RESTRICTIONS: ReadonlySet<string> = new Set([
  'reject_unknown_client_hostname',
  'reject_unknown_client',
  'reject_unknown_reverse_client_hostname',
]);

/** Plays a session up to the end of an empty message. */
export async function ask(
  question: Question,
  context: Context,
  doors: Pick<Doors, 'rewrite'>,
): Promise<Answered> {
  return new WhatIf(question, context, doors).answer();
}

class WhatIf {
  readonly #question: Question;
  readonly #smtpd: Smtpd;
  readonly #exchanges: Exchange[] = [];
  readonly #unasked = new Set<Reason>();
  #judgements: Judgement[] = [];
  #log: string[] = [];

  constructor(question: Question, context: Context, doors: Pick<Doors, 'rewrite'>) {
    this.#question = question;
    const log = this.#collector(context.log);
    const live = question.asksDns
      ? openResolver({
          nameservers: context.parameters.dns_nameservers.split(/[\s,]+/).filter(Boolean),
        })
      : undefined;
    const resolver = offlineResolver(question, live);
    this.#smtpd = new Smtpd(
      { ...context, log },
      {
        ...doors,
        resolver,
        cleanup: NOWHERE,
        shakesHands: false,
        sasl: NOBODY,
        verify: {
          query: async (address) => {
            throw new Unasked(`verify(8) about ${address}`);
          },
          close() {},
        },
        openPolicy: (server) =>
          question.asksPolicies
            ? new PolicyClient(server, live ?? openResolver(), log)
            : {
                server,
                ask: async () => {
                  throw new Unasked(`the policy server ${server.address}`);
                },
                close() {},
              },
        decide: (lists, facts, knowledge, deferred) =>
          this.#decide(lists, facts, knowledge, deferred),
      },
    );
  }

  async answer(): Promise<Answered> {
    const { address, helo, sender, recipients, login, hasTls } = this.#question;
    const line = new MemoryClient(address);
    const session = new Session(line.socket, this.#smtpd, socketEndpoints(line.socket));
    session.isEncrypted = hasTls;
    const ended = session.run();
    const note = (command: string, reply: string): boolean => {
      this.#exchanges.push({ command, reply, judgements: this.#judgements, log: this.#log });
      this.#judgements = [];
      this.#log = [];
      return /^[23]/.test(reply);
    };
    const say = async (command: string) => note(command, await line.say(command));
    note('CONNECT', await line.reply());
    if (login !== undefined) {
      const known = { method: 'PLAIN', username: login };
      session.client = this.#smtpd.withLogin(session.client, known);
    }
    if (helo !== '') await say(`EHLO ${helo}`);
    if (await say(`MAIL FROM:<${sender}>${this.#utf8(sender, ...recipients)}`)) {
      let accepted = 0;
      for (const recipient of recipients) {
        if (await say(`RCPT TO:<${recipient}>`)) accepted += 1;
      }
      if (accepted > 0 && (await say('DATA'))) note('end of data', await line.say('.'));
    }
    const { client } = session;
    await line.say('QUIT');
    line.close();
    await ended;
    this.#smtpd.close();
    return { client, exchanges: this.#exchanges, unasked: this.#unasked };
  }

  #utf8(...addresses: readonly string[]): string {
    const isUnicode = addresses.some((address) => /[^\x00-\x7f]/.test(address));
    return isUnicode && this.#smtpd.parameters.smtputf8_enable ? ' SMTPUTF8' : '';
  }

  #decide: typeof decide = async (lists, facts, knowledge, deferred) => {
    const told = lists.map((list) => ({
      ...list,
      rules: list.rules.map((rule) => this.#telling(rule)),
    }));
    const decision = await decide(told, facts, knowledge, deferred);
    this.#judgements.push({ lists, decision });
    return decision;
  };

  /** A restriction that says whom it would ask, where it would have to. */
  #telling(rule: Rule): Rule {
    return {
      ...rule,
      restriction: async (facts, knowledge) => {
        const pause = /^sleep\s+(\S+)/i.exec(rule.name)?.[1];
        if (pause !== undefined) return { kind: 'dunno', because: `would wait ${pause} s` };
        try {
          const verdict = await rule.restriction(facts, knowledge);
          if (verdict.kind === 'see') {
            return { ...verdict, rules: verdict.rules.map((each) => this.#telling(each)) };
          }
          return this.#isGuess(rule, verdict)
            ? this.#unknown(`the DNS for the name of ${facts.client.address}`)
            : verdict;
        } catch (error) {
          if (error instanceof Unasked) return this.#unknown(error.message);
          throw error;
        }
      },
    };
  }

  /** Nobody has said what the client's name is, nor asked for it. */
  #isGuess({ name }: Rule, verdict: Verdict): boolean {
    const { name: known, asksDns } = this.#question;
    const isKnown = known !== undefined || asksDns;
    return !isKnown && verdict.kind === 'reject' && NAME_RESTRICTIONS.has(name.toLowerCase());
  }

  #unknown(whom: string): Verdict {
    const because = () => `would ask ${whom}`;
    this.#unasked.add(because);
    return { kind: 'dunno', because };
  }

  #collector(log: Log): Log {
    const put = (event: LogEvent | string, severity = '') => {
      this.#log.push(severity + (typeof event === 'string' ? event : formatEvent(event)));
    };
    return {
      ...log,
      isVerbose: false,
      info: (event) => put(event),
      warn: (event) => put(event, 'warning: '),
      error: (event) => put(event, 'error: '),
      debug() {},
    };
  }
}

/** Checks no passwords: which mechanisms there are, only a running server can tell. */
const NOBODY: Doors['sasl'] = {
  mechanisms: async () => [{ name: '...', properties: [] }],
  begin: () => {
    throw new Unasked('who checks passwords');
  },
  explain: () => '',
  close() {},
};

/** Takes every message, and keeps none. */
const NOWHERE: Doors['cleanup'] = {
  open: async () => ({
    queueId: '...',
    write() {},
    finish: async () => ({ status: 0, reason: '' }),
    abort() {},
  }),
  close() {},
};
