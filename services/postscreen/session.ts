/**
 * One client, from accept until a real server has it, or it is gone: which tests it has to pass,
 * those before the greeting, and what follows from them. Those after the greeting are in engine.ts.
 */
import type { Socket } from 'node:net';
import { PassedClient } from '../../lib/clients/pass.ts';
import { monotonic, now } from '../../lib/clock/clock.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { formatDelay } from '../../lib/log/delay-text.ts';
import { escapeBytes } from '../../lib/log/escape.ts';
import { type Endpoints, ProxyHeaderError, socketEndpoints } from '../../lib/net/proxy-header.ts';
import { isSystemError } from '../../lib/os/error.ts';
import { ClientSocket } from './client-socket.ts';
import { Engine } from './engine.ts';
import type { ScoreLookup } from './list-scores.ts';
import type { ClientState } from './occupancy.ts';
import { readProxyHeader } from './proxied.ts';
import {
  DEEP_TESTS,
  dueTests,
  EARLY_TESTS,
  formatExpiry,
  isNew,
  newExpiry,
  Progress,
  parseExpiry,
  TESTS,
  type Test,
} from './reputation.ts';
import type { Screen } from './service.ts';

/** What an early talker said, as far as anybody looks at it and the log shows it. */
const LOOK_BYTES = 1023;
const SHOWN_MAX = 100;
/** All servers may be busy for a while. */
const PASS_MS = 100_000;
const PROTOCOL_ERROR = '5.5.1 Protocol error';

export class Session {
  readonly screen: Screen;
  readonly socket: ClientSocket;
  readonly progress = new Progress();
  /** Who the client is, and where it has come. */
  endpoints: Endpoints;
  /** What RCPT is answered. */
  recipientReply = '450 4.3.2 Service currently unavailable';
  /** What any command but QUIT is answered, and the last it is. */
  excuse: string | undefined;
  #wasTeased = false;
  /** What a client hears at the end that is not handed over; '' when it has gone. */
  #finalReply = '421 4.3.2 Service currently unavailable';
  #tests = 'TEST NAME HERE';
  #testsBegan = monotonic();
  #client: ClientState = { sessions: 1, expiry: newExpiry(), isKnownNew: false };

  constructor(socket: Socket, screen: Screen) {
    this.screen = screen;
    this.socket = new ClientSocket(socket);
    this.endpoints = socketEndpoints(socket);
  }

  /** `[192.0.2.1]:12345` */
  get label(): string {
    const { clientAddress, clientPort } = this.endpoints;
    return `[${clientAddress}]:${clientPort}`;
  }

  get address(): string {
    return this.endpoints.clientAddress;
  }

  /** Serves the client; resolves when it is no business of ours any more. */
  async run(): Promise<void> {
    const { screen } = this;
    try {
      if (screen.isBehindProxy && !(await this.#hearProxy())) return;
      const { serverAddress, serverPort } = this.endpoints;
      screen.log.info(`CONNECT from ${this.label} to [${serverAddress}]:${serverPort}`);
      this.#client = screen.occupancy.enter(this.address);
      try {
        await this.#screen();
      } finally {
        screen.occupancy.leave(this.address);
      }
    } finally {
      this.socket.close();
    }
  }

  /** Sends a reply, with a footer where that is wanted. @returns false when the client is gone */
  send(reply: string | readonly string[]): boolean {
    return this.socket.send(this.screen.replies.format(reply, this.endpoints));
  }

  beginTests(name: string): void {
    this.#tests = name;
    this.#testsBegan = monotonic();
  }

  pass(test: Test, seconds: number): void {
    this.progress.passed.add(test);
    this.#client.expiry[test] = Math.floor(now() / 1000) + seconds;
  }

  /**
   * A client has failed a test.
   *
   * @returns the reply to drop it with, if that is wanted
   */
  fail(test: Test, text = PROTOCOL_ERROR): string | undefined {
    const { action } = this.screen.tests[test];
    this.progress.failed.add(test);
    if (action === 'drop') return `521 ${text}`;
    if (action === 'enforce') this.enforce(`550 ${test === 'nonSmtp' ? PROTOCOL_ERROR : text}`);
    return undefined;
  }

  /** Deep tests: what the client has passed before does not count any more. */
  failDeep(test: Test, text?: string): string | undefined {
    const { progress, screen } = this;
    const reply = this.fail(test, text);
    progress.passed.delete(test);
    progress.skipped.add(test);
    if (screen.tests[test].action === 'ignore') {
      // Let it be for as long as anything is.
      progress.failed.delete(test);
      this.pass(test, screen.shortestTtl);
    }
    return reply;
  }

  enforce(reply: string): void {
    this.recipientReply = reply;
    this.progress.isHeld = true;
  }

  /** The client gets this, and no server. */
  drop(reply: string): Promise<void> {
    this.progress.isHeld = true;
    this.#finalReply = reply;
    return this.#conclude();
  }

  hangUp(): Promise<void> {
    const elapsed = formatDelay((monotonic() - this.#testsBegan) / 1000);
    this.screen.log.info(`HANGUP after ${elapsed} from ${this.label} in ${this.#tests}`);
    return this.drop('');
  }

  /** @returns false when the proxy did not say who the client is */
  async #hearProxy(): Promise<boolean> {
    const { screen } = this;
    try {
      const told = await screen.hearProxy(() => readProxyHeader(this.socket, screen.proxyLimits));
      this.endpoints = told ?? this.endpoints;
      return true;
    } catch (error) {
      if (!(error instanceof ProxyHeaderError)) throw error;
      screen.log.warn(`haproxy read: ${error.message}`);
      this.send('421 4.3.2 No system resources');
      return false;
    }
  }

  async #screen(): Promise<void> {
    const { screen, progress } = this;
    const { log, parameters, occupancy } = screen;
    const sessionsMax = parameters.postscreen_client_connection_count_limit;
    if (sessionsMax > 0 && this.#client.sessions > sessionsMax) {
      log.info(`NOQUEUE: reject: CONNECT from ${this.label}: too many connections`);
      return await this.drop('421 4.7.0 Error: too many connections');
    }
    if (occupancy.passing >= parameters.postscreen_post_queue_limit) {
      log.info(`NOQUEUE: reject: CONNECT from ${this.label}: all server ports busy`);
      return await this.drop('421 4.3.2 All server ports are busy');
    }
    const access = await screen.accessOf(this.address);
    if (access === 'permit') {
      screen.logAllowed(this.label);
      return await this.#conclude();
    }
    if (access === 'reject') {
      log.info(`${screen.words.deny}LISTED ${this.label}`);
      if (screen.denyAction === 'drop') {
        progress.isBarred = true;
        return await this.drop('521 5.3.2 Service currently unavailable');
      }
      if (screen.denyAction === 'enforce') {
        progress.isBarred = true;
        this.enforce('550 5.3.2 Service currently unavailable');
      }
    }
    if (this.#isKnown()) {
      log.info(`PASS OLD ${this.label}`);
      return await this.#conclude();
    }
    if (!(await screen.isAllowlisting(this.endpoints.serverAddress))) {
      progress.isBarred = true;
      progress.isHeld = true;
      log.info(`${screen.words.allow}LIST VETO ${this.label}`);
    }
    if (occupancy.screened >= parameters.postscreen_pre_queue_limit) {
      log.info(`reject: connect from ${this.label}: all screening ports busy`);
      return await this.drop('421 4.3.2 All screening ports are busy');
    }
    if (progress.isTodo(EARLY_TESTS)) return await this.#testEarly();
    if (progress.isTodo(DEEP_TESTS) || progress.isHeld) return await new Engine(this).run();
    return await this.#conclude();
  }

  /** Finds out which tests are due. @returns whether none is, for a client that has been here before */
  #isKnown(): boolean {
    const { screen, progress } = this;
    const client = this.#client;
    const isFirst = client.sessions === 1;
    const cached = isFirst && !progress.hasFailed ? screen.cached(this.address) : undefined;
    // What its other sessions have passed already counts for this one.
    if (isFirst) client.expiry = cached === undefined ? newExpiry() : parseExpiry(cached);
    progress.isNew = isNew(client.expiry);
    const due = dueTests(client.expiry, Math.floor(now() / 1000), screen.isEnabled);
    for (const test of due) progress.todo.add(test);
    return cached !== undefined && due.length === 0 && !progress.hasFailed;
  }

  /** A teaser, and a while to see who can't wait; meanwhile lists in the DNS are asked. */
  async #testEarly(): Promise<void> {
    const { screen, progress, address } = this;
    this.beginTests('tests before SMTP handshake');
    this.#wasTeased = progress.todo.has('pregreet');
    if (this.#wasTeased && !this.send(screen.teaser)) return await this.hangUp();
    if (!progress.todo.has('dnsbl')) return await this.#endEarly(await this.#watch(), undefined);
    const lookup = screen.scores.request(address);
    try {
      let isOver = false;
      const note = () => {
        if (isOver) return;
        progress.done.add('dnsbl');
        this.#trustListed(lookup);
        this.socket.interrupt();
      };
      lookup.done.then(note, note);
      const outcome = await this.#watch();
      isOver = true;
      await this.#endEarly(outcome, lookup);
    } finally {
      screen.scores.release(address);
    }
  }

  /** Waits for the client to speak too soon. @returns what to drop it with; 'gone'; or 'over' */
  async #watch(): Promise<'over' | 'gone' | { reply: string }> {
    const { screen, progress, socket } = this;
    let isWatched = progress.todo.has('pregreet');
    for (;;) {
      const elapsedMs = monotonic() - this.#testsBegan;
      const remainingMs = screen.limits.greetWait * 1000 - elapsedMs;
      const isDone = EARLY_TESTS.every(
        (test) => !progress.todo.has(test) || progress.done.has(test),
      );
      if (remainingMs <= 0 || isDone) return 'over';
      await socket.await(remainingMs, isWatched);
      const said = isWatched ? socket.look(LOOK_BYTES) : undefined;
      if (said === undefined) continue;
      if (said.length === 0) return 'gone';
      const after = formatDelay((monotonic() - this.#testsBegan) / 1000);
      const shown = escapeBytes(said).slice(0, SHOWN_MAX);
      screen.log.info(`PREGREET ${said.length} after ${after} from ${this.label}: ${shown}`);
      const reply = this.fail('pregreet');
      if (reply !== undefined) return { reply };
      progress.done.add('pregreet');
      isWatched = false;
    }
  }

  async #endEarly(
    outcome: 'over' | 'gone' | { reply: string },
    lookup: ScoreLookup | undefined,
  ): Promise<void> {
    const { progress } = this;
    if (outcome === 'gone') return await this.hangUp();
    if (outcome !== 'over') return await this.drop(outcome.reply);
    this.#judgePregreet();
    if (lookup !== undefined) {
      if (!progress.done.has('dnsbl')) this.#trustListed(lookup);
      const reply = this.#judgeScore(lookup);
      if (reply !== undefined) return await this.drop(reply);
    }
    const isLeft = DEEP_TESTS.some((test) => progress.todo.has(test) && !progress.passed.has(test));
    if (progress.isHeld || isLeft) return await new Engine(this).run();
    return await this.#conclude();
  }

  #judgePregreet(): void {
    const { progress, screen } = this;
    if (!progress.todo.has('pregreet')) return;
    if (!progress.failed.has('pregreet')) {
      if (!progress.done.has('pregreet')) this.pass('pregreet', screen.tests.pregreet.ttl);
    } else if (screen.tests.pregreet.action === 'ignore') {
      // It is tested again next time.
      progress.failed.delete('pregreet');
    }
  }

  /** @returns the reply to drop the client with, if that is wanted */
  #judgeScore({ score }: ScoreLookup): string | undefined {
    const { screen, progress } = this;
    const { postscreen_dnsbl_threshold: threshold } = screen.parameters;
    if (score.total < threshold) {
      this.pass('dnsbl', screen.scoreTtl(score));
      return undefined;
    }
    screen.log.info(`DNSBL rank ${score.total} for ${this.label}`);
    const domain = screen.shownDomain(score.domain);
    const text = `5.7.1 Service unavailable; client [${this.address}] blocked using ${domain}`;
    const reply = this.fail('dnsbl', text);
    if (screen.tests.dnsbl.action === 'ignore') progress.failed.delete('dnsbl');
    return reply;
  }

  /** postscreen_dnsbl_allowlist_threshold: who is well spoken of need not pass the other tests. */
  #trustListed({ score }: ScoreLookup): void {
    const { screen, progress } = this;
    const { postscreen_dnsbl_allowlist_threshold: trusted, postscreen_dnsbl_threshold: least } =
      screen.parameters;
    if (trusted >= 0 || score.total > trusted || score.total >= least) return;
    if (progress.hasFailed) return;
    const until = Math.floor(now() / 1000) + screen.scoreTtl(score);
    const { expiry } = this.#client;
    for (const test of TESTS) {
      if (test === 'dnsbl') continue;
      if (progress.todo.has(test)) {
        progress.done.add(test);
        progress.passed.add(test);
      }
      expiry[test] = Math.max(expiry[test], until);
    }
  }

  /** The end of the tests: remembers what was passed, and hands the client over, or says good bye. */
  async #conclude(): Promise<void> {
    const { screen, progress } = this;
    const client = this.#client;
    if (progress.hasFailed) progress.passed.clear();
    if (progress.hasPassedAll) {
      const isOld = !progress.isNew || client.isKnownNew;
      if (progress.isNew) client.isKnownNew = true;
      screen.log.info(`PASS ${isOld ? 'OLD' : 'NEW'} ${this.label}`);
    }
    if (progress.passed.size > 0) {
      screen.remember(this.address, formatExpiry(client.expiry, screen.isEnabled));
    }
    if (!progress.isHeld) return await this.#handOver();
    if (this.#finalReply !== '') this.send(this.#finalReply);
    screen.log.info(`DISCONNECT ${this.label}`);
  }

  async #handOver(): Promise<void> {
    const { screen, socket } = this;
    const { log, occupancy } = screen;
    const service = screen.server;
    let passed: PassedClient;
    occupancy.startPassing();
    try {
      passed = await PassedClient.send(service, () => socket.descriptor, this.endpoints, PASS_MS);
    } catch (error) {
      if (!(error instanceof IpcError) && !isSystemError(error)) throw error;
      const why = (error as Error).message.replace(/^connect to [^:]*: /, '');
      log.warn(`cannot connect to service ${service}: ${why}`);
      return await this.#excuse();
    } finally {
      occupancy.endPassing();
    }
    // The server has a descriptor of its own now, but not before it has taken it.
    occupancy.startPassing();
    try {
      await passed.taken();
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      log.warn(`timeout sending connection to service ${service}`);
    } finally {
      socket.release();
      occupancy.endPassing();
    }
  }

  /** There is no server. Half a greeting has to be ended first, and then whatever is asked is refused. */
  async #excuse(): Promise<void> {
    if (!this.#wasTeased) {
      this.send('421 4.3.2 All server ports are busy');
      return;
    }
    this.progress.isHeld = true;
    this.excuse = '421 4.3.2 No system resources';
    await new Engine(this).run();
  }
}
