/**
 * AUTH: the order of the checks, and the conversation that follows. smtp-replies.md 3.7, RFC 4954.
 * What a client says in it is nobody's business: it goes to the back end, and nowhere else.
 */
import {
  EMPTY_RESPONSE,
  type Fault,
  isBase64,
  type SaslExchange,
  type SaslStep,
} from '../../lib/sasl/exchange.ts';
import type { Answer, Question } from './answer.ts';
import type { AuthServer } from './auth-server.ts';
import type { Line } from './command-input.ts';
import type { Session } from './session.ts';
import type { Word } from './words.ts';

const NOT_ENABLED: Answer = { reply: '503 5.5.1 Error: authentication not enabled' };
/** A reply is one line, and has room for this much of a reason. */
const REASON_MAX = 400;

export async function auth(session: Session, words: readonly Word[]): Promise<Answer> {
  const tooMany = await session.overLimit('auth');
  if (tooMany !== undefined) return { reply: tooMany };
  const { smtpd, helo } = session;
  if (smtpd.parameters.smtpd_helo_required && helo === undefined) {
    return { reply: '503 5.5.1 Error: send HELO/EHLO first' };
  }
  const server = serverFor(session);
  if (server === undefined) return NOT_ENABLED;
  if (session.transaction) return { reply: '503 5.5.1 Error: MAIL transaction in progress' };
  const filtered = session.milters?.lateRefusal();
  if (filtered !== undefined) return { reply: filtered };
  if (session.client.login !== undefined) {
    return { reply: '503 5.5.1 Error: already authenticated' };
  }
  const [, mechanism, response] = words.map(({ text }) => text);
  if (mechanism === undefined || words.length > 3) {
    return { reply: '501 5.5.4 Syntax: AUTH mechanism' };
  }
  return new Conversation(session, server, mechanism).begin(response);
}

/** EHLO's lines about AUTH. */
export async function authLines(session: Session): Promise<readonly string[]> {
  const server = serverFor(session);
  if (server === undefined || (await server.isHiddenFrom(session))) return [];
  const mechanisms = await server.mechanisms(session);
  if (mechanisms.length === 0) return [];
  const names = mechanisms.join(' ');
  const isForOldClients = session.smtpd.parameters.broken_sasl_auth_clients;
  return [`AUTH ${names}`, ...(isForOldClients ? [`AUTH=${names}`] : [])];
}

/** @returns `undefined` when the client can't log in, or may not now */
function serverFor(session: Session): AuthServer | undefined {
  const { auth: server } = session.smtpd;
  if (server === undefined || session.client.offer?.auth !== true) return undefined;
  return server.serves(session) ? server : undefined;
}

/** A client on its way through a mechanism. */
class Conversation implements Question {
  readonly #session: Session;
  readonly #server: AuthServer;
  /** As the client wrote it. */
  readonly #mechanism: string;
  #exchange: SaslExchange | undefined;

  constructor(session: Session, server: AuthServer, mechanism: string) {
    this.#session = session;
    this.#server = server;
    this.#mechanism = printable(mechanism);
  }

  get lineBytesMax(): number {
    return this.#session.smtpd.parameters.smtpd_sasl_response_limit;
  }

  async begin(response: string | undefined): Promise<Answer> {
    const name = this.#mechanism.toUpperCase();
    const offered = await this.#server.mechanisms(this.#session);
    if (offered.length === 0) {
      return this.#fail({ kind: 'trouble', reason: "Can't connect to authentication server" });
    }
    if (!offered.includes(name)) return this.#blame('mechanism');
    if (response !== undefined && response !== EMPTY_RESPONSE && !isBase64(response)) {
      return this.#blame('initial');
    }
    this.#exchange = this.#server.begin(name, this.#session);
    return this.#proceed(await this.#exchange.next(response));
  }

  async answer({ text, isCut }: Line): Promise<Answer> {
    const { client, smtpd } = this.#session;
    if (isCut) {
      this.cancel();
      smtpd.log.warn(`${client.label}: SASL response longer than ${this.lineBytesMax}`);
      return { reply: '500 5.5.6 SASL response limit exceeded' };
    }
    if (text === '*') {
      this.cancel();
      smtpd.log.warn(
        `${client.label}: SASL ${this.#mechanism.slice(0, 100)} authentication aborted`,
      );
      return { reply: '501 5.7.0 Authentication aborted' };
    }
    if (!isBase64(text)) {
      this.cancel();
      return this.#blame('continued');
    }
    const step = await this.#exchange?.next(text);
    return step === undefined ? NOT_ENABLED : this.#proceed(step);
  }

  cancel(): void {
    this.#exchange?.cancel();
  }

  #proceed(step: SaslStep): Answer {
    switch (step.kind) {
      case 'challenge':
        return { reply: `334 ${step.base64}`, question: this };
      case 'done': {
        const login = { method: this.#mechanism, username: printable(step.username) };
        const { smtpd, client } = this.#session;
        this.#session.client = smtpd.withLogin(client, login);
        return { reply: '235 2.7.0 Authentication successful' };
      }
      default:
        return this.#fail(step);
    }
  }

  #blame(fault: Fault): Answer {
    const reason = this.#server.explain(fault, this.#mechanism);
    return this.#fail({ kind: 'refused', reason });
  }

  #fail({ kind, reason, username }: SaslStep & { kind: 'refused' | 'trouble' }): Answer {
    const { client, smtpd } = this.#session;
    const shown = printable(reason).slice(0, REASON_MAX) || '(reason unavailable)';
    smtpd.log.warn({
      kind: 'auth-failure',
      client: client.label,
      mechanism: this.#mechanism,
      reason: shown,
      username: username?.slice(0, 100),
    });
    if (kind === 'trouble')
      return { reply: `454 4.7.0 Temporary authentication failure: ${shown}` };
    return this.#endAfterTooMany() ?? { reply: `535 5.7.8 Error: authentication failed: ${shown}` };
  }

  /** smtpd_sasl_failure_limit: who guesses has to connect again, and is counted. */
  #endAfterTooMany(): Answer | undefined {
    const session = this.#session;
    const { smtpd_sasl_failure_limit: limit, myhostname } = session.smtpd.parameters;
    session.loginFailures += 1;
    if (limit === 0 || session.loginFailures < limit) return undefined;
    const { label: client } = session.client;
    session.smtpd.log.info({ kind: 'session-lost', why: 'too many errors', stage: 'AUTH', client });
    return { reply: `421 4.7.0 ${myhostname} Error: too many errors`, closes: true };
  }
}

function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
