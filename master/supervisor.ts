/**
 * The heart of master(8): keeps the services of master.cf served.
 *
 * It watches the listening sockets of every service that has no free process, starts one process
 * when a client comes, and never accepts itself. Children report on descriptor 5 how many more
 * clients they can take; a service whose child dies before it did anything is left alone for a
 * while. Postfix: master(8); ipc.md section 1.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { after, every, monotonic, sleep } from '../lib/clock/clock.ts';
import type { Configuration } from '../lib/config/configuration.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import type { Log } from '../lib/log/log.ts';
import { Poller } from '../lib/os/poll.ts';
import { AT_FULL_LOAD, FINISHES_IN_BACKGROUND } from '../lib/server/status-channel.ts';
import { daemonArguments } from './command-line.ts';
import { daemonEnvironment } from './environment.ts';
import { closeListeners, keyOf, openListeners } from './listeners.ts';
import { isToldOfStress, limitWarnings, processesFor, slotsFor } from './process-limit.ts';
import {
  type Child,
  isAvailable,
  limitOf,
  type Service,
  shareInUse,
  wantsChild,
} from './service.ts';
import { openStatusChannel } from './status-channel.ts';
import type { StatusMessage } from './status-message.ts';
import { wakeUp } from './wakeup.ts';

/** Descriptors 0-2, then what ipc.md 1.4 promises a daemon: 3 and 4, 5, and 6 onwards. */
const STANDARD_STREAMS = 3;
/** For how long new processes are told `stress=yes`, and how often we complain about a limit. */
const STRESS_MS = 1000_000;
/** The poll ends at least this often, so that nothing can hang for good. */
const POLL_MS = 500_000;

/** Who lived this long did not fail to start, even if no client was served to its end. */
const WORKING_MS = 1000;
/** How long a service is left alone after a child of it died at once for the first time. */
const FIRST_THROTTLE_MS = 50;
/** How often the end of the last child is looked for, while stopping. */
const IDLE_CHECK_MS = 20;

/** What the supervisor needs from the program around it. */
export interface SupervisorOptions {
  readonly log: Log;
  readonly debug: boolean;
  readonly verbose: number;
  /** Daemons inherit our standard output (`-s`, `-i`, `-d`). */
  readonly keepOutput: boolean;
  /** Descriptors of the flow-control pipe. */
  readonly flow: { readonly read: number; readonly write: number };
  readonly wakeups: boolean;
}

/** Runs services until the process ends. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Log;
  readonly #services = new Map<string, Service>();
  readonly #poller = new Poller();
  #configuration: Configuration;
  #environment: Record<string, string> = {};
  /** New configurations that wait for the end of the poll under way. */
  readonly #changes: (() => void)[] = [];
  #generation = 0;
  #stopped = false;

  constructor(configuration: Configuration, options: SupervisorOptions) {
    this.#configuration = configuration;
    this.#options = options;
    this.#log = options.log;
  }

  /**
   * Makes the services those of `entries`, at start and at each reload: what is new is opened,
   * what is gone is closed, what remains keeps its listening sockets and loses no client.
   *
   * It is done between two polls: the number of a descriptor that is closed while it is watched
   * may be given to another file, and then nothing would be right.
   */
  configure(configuration: Configuration, entries: readonly MasterEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changes.push(() => {
        try {
          this.#apply(configuration, entries);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      this.#poller.wake();
    });
  }

  #apply(configuration: Configuration, entries: readonly MasterEntry[]): void {
    this.#configuration = configuration;
    this.#environment = environmentOf(configuration);
    const wanted = this.#identify(entries);
    for (const [identity, service] of this.#services) {
      if (!wanted.has(identity)) this.#remove(identity, service);
    }
    for (const [identity, entry] of wanted) {
      const service = this.#services.get(identity);
      if (service === undefined) this.#add(identity, entry);
      else this.#renew(service, entry);
    }
  }

  /** Serves until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      for (const change of this.#changes.splice(0)) change();
      const watched = this.#watched();
      const ready = await this.#poller.poll([...watched.keys()], POLL_MS);
      for (const fd of ready) {
        const service = watched.get(fd);
        // Two sockets of one service may be ready: the first has started a process already.
        if (service && this.#isOurs(service) && wantsChild(service, this.#defaultLimit())) {
          this.#spawn(service);
        }
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#poller.wake();
  }

  /** Whoever leads a session of its own hears of no signal to our group: the end of its channel does. */
  dismiss(): void {
    for (const { channel } of this.#services.values()) channel.close();
  }

  /** Resolves when no process of ours is left. */
  async whenIdle(): Promise<void> {
    const running = () => [...this.#services.values()].some(({ children }) => children.size > 0);
    while (running()) await sleep(IDLE_CHECK_MS);
  }

  #defaultLimit(): number {
    return this.#configuration.get('default_process_limit');
  }

  #isOurs(service: Service): boolean {
    return this.#services.get(identityOf(service.entry)) === service;
  }

  /** Later lines replace earlier ones of the same service, with a warning. */
  #identify(entries: readonly MasterEntry[]): Map<string, MasterEntry> {
    const wanted = new Map<string, MasterEntry>();
    for (const entry of entries) {
      const identity = identityOf(entry);
      const earlier = wanted.get(identity);
      if (earlier !== undefined) {
        this.#log.warn(
          `duplicate master.cf entry for service "${earlier.name}" (${keyOf(entry)}) -- using the last entry`,
        );
      }
      wanted.set(identity, entry);
    }
    return wanted;
  }

  #add(identity: string, entry: MasterEntry): void {
    const service: Service = {
      key: keyOf(entry),
      entry,
      listeners: openListeners(entry, this.#configuration),
      children: new Map(),
      channel: this.#openChannel(() => service),
      throttled: undefined,
      wakeup: undefined,
      wasUsed: false,
      failures: 0,
      stressUntil: 0,
      limitReportedAt: 0,
    };
    this.#services.set(identity, service);
    this.#armWakeup(service);
  }

  #renew(service: Service, entry: MasterEntry): void {
    service.entry = entry;
    this.#dropIdleChildren(service);
    this.#armWakeup(service);
  }

  #remove(identity: string, service: Service): void {
    this.#services.delete(identity);
    service.wakeup?.stop();
    service.throttled?.stop();
    service.channel.close();
    for (const child of service.children.values()) kill(child.pid);
    closeListeners(service.listeners);
  }

  /** A closed channel sends idle children home; the busy ones finish their clients first. */
  #dropIdleChildren(service: Service): void {
    service.channel.close();
    for (const child of service.children.values()) {
      child.current = false;
      // It can't tell us any more how much it still uses: no reason to let new clients wait.
      child.share = child.overlaps ? 0 : 1;
    }
    service.channel = this.#openChannel(() => service);
  }

  #openChannel(service: () => Service) {
    return openStatusChannel({
      onMessage: (message) => this.#onStatus(service(), message),
      onPartial: (bytes) => {
        const { entry, key } = service();
        this.#log.warn(
          `service ${entry.name}(${key}): child (pid 0) sent partial status update (${bytes} bytes)`,
        );
      },
    });
  }

  #onStatus(service: Service, message: StatusMessage): void {
    const child = service.children.get(message.pid);
    if (child === undefined) return;
    if (child.generation !== message.generation) {
      this.#log.info(
        `ignoring status update from child pid ${message.pid} generation ${message.generation}`,
      );
      return;
    }
    if (message.free === FINISHES_IN_BACKGROUND) {
      child.overlaps = true;
      return;
    }
    if (message.free === AT_FULL_LOAD) {
      if (this.#mayHaveAnother(service)) this.#spawn(service);
      return;
    }
    if (message.free < 0) {
      this.#onRetired(service, child, -1 - message.free);
      return;
    }
    const wasAvailable = isAvailable(service);
    // Its first word, before it took a client: how many clients it can serve at once.
    if (message.free > child.share) child.share = message.free;
    else if (message.free > child.free || (message.free > 0 && child.share > 1))
      this.#noteUse(service, child);
    child.free = message.free;
    if (wasAvailable && !isAvailable(service)) {
      this.#noteLimit(service, child);
      if (wantsChild(service, this.#defaultLimit())) this.#poller.wake();
    }
  }

  /** A process that could take clients has too much to do: one more may help, if it may be. */
  #mayHaveAnother(service: Service): boolean {
    const processes = processesFor(this.#configuration.get('service_processes'));
    const isBelowLimit = shareInUse(service) < limitOf(service, this.#defaultLimit());
    return service.children.size < processes && isBelowLimit && service.throttled === undefined;
  }

  /** It takes no more clients; others may have what it does not use of its share. */
  #onRetired(service: Service, child: Child, used: number): void {
    child.free = 0;
    child.share = Math.min(child.share, used);
    if (wantsChild(service, this.#defaultLimit())) this.#poller.wake();
  }

  /** It has served somebody, so the program works. */
  #noteUse(service: Service, child: Child): void {
    child.uses += 1;
    service.failures = 0;
  }

  #watched(): Map<number, Service> {
    const watched = new Map<number, Service>();
    for (const service of this.#services.values()) {
      if (!wantsChild(service, this.#defaultLimit())) continue;
      for (const { fd } of service.listeners) watched.set(fd, service);
    }
    return watched;
  }

  #spawn(service: Service): void {
    const { entry } = service;
    const path = join(this.#configuration.get('daemon_directory'), entry.command);
    if (!existsSync(path)) {
      this.#abandon(service, path);
      return;
    }
    const limit = limitOf(service, this.#defaultLimit());
    this.#generation += 1;
    const generation = this.#generation;
    const { flow, keepOutput } = this.#options;
    const standard = Array<'ignore' | 'inherit'>(STANDARD_STREAMS).fill('ignore');
    if (keepOutput) standard.fill('inherit', 1);
    const process = spawn(
      path,
      daemonArguments(entry, {
        limit,
        listeners: service.listeners.length,
        debug: this.#options.debug,
        verbose: this.#options.verbose,
        stress: this.#stressOf(service, limit),
      }),
      {
        argv0: entry.command,
        stdio: [
          ...standard,
          flow.read,
          flow.write,
          service.channel.childFd,
          ...service.listeners.map(({ fd }) => fd),
        ],
        env: {
          ...this.#environment,
          GENERATION: generation.toString(8),
          POSTHASTE_SLOTS: String(
            slotsFor(
              limit,
              limit - shareInUse(service),
              this.#configuration.get('service_processes'),
            ),
          ),
        },
      },
    );
    process.on('error', (error) => {
      this.#log.warn(`cannot start ${path}: ${error.message}`);
      if (process.pid === undefined) this.#throttle(service, path);
    });
    if (process.pid === undefined) return;
    const child: Child = {
      pid: process.pid,
      generation,
      share: 1,
      free: 1,
      uses: 0,
      startedAt: monotonic(),
      current: true,
      overlaps: false,
    };
    service.children.set(child.pid, child);
    process.on('exit', (code, signal) => this.#onExit(service, child, path, code, signal));
    if (!service.wasUsed) {
      service.wasUsed = true;
      if (entry.wakeup.onlyIfUsed) this.#armWakeup(service);
    }
    this.#noteLimit(service, child);
  }

  /**
   * A daemon that this system does not have: say so once, and refuse its clients from now on,
   * rather than let them wait. The next reload looks again.
   */
  #abandon(service: Service, path: string): void {
    const { name, origin } = service.entry;
    this.#remove(identityOf(service.entry), service);
    this.#log.warn(
      `service "${name}" (${service.key}) was asked for, but there is no ${path}: ` +
        `it refuses its clients until "postfix reload" (see ${origin.file}, line ${origin.line})`,
    );
  }

  #onExit(
    service: Service,
    child: Child,
    path: string,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): void {
    service.children.delete(child.pid);
    const failed = code !== 0;
    if (failed && !this.#stopped) {
      this.#log.warn(
        signal === null
          ? `process ${path} pid ${child.pid} exit status ${code}`
          : `process ${path} pid ${child.pid} killed by signal ${signalNumber(signal)}`,
      );
      // Only somebody else can send SIGKILL: it is no sign that the program does not work.
      const isAccident = signal === 'SIGKILL' || monotonic() - child.startedAt > WORKING_MS;
      if (child.uses === 0 && this.#isOurs(service)) {
        if (isAccident) service.failures = 0;
        this.#throttle(service, path);
      }
      // It may have had work in hand that nobody would ask for before the next regular wake-up.
      if (this.#isOurs(service)) this.#armWakeup(service);
    }
    this.#poller.wake();
  }

  /**
   * A child that dies before it did anything would be started again and again. The pause doubles
   * with each such death, up to `service_throttle_time`: one accident costs next to nothing.
   */
  #throttle(service: Service, path: string): void {
    this.#log.warn(`${path}: bad command startup -- throttling`);
    const longest = this.#configuration.get('service_throttle_time') * 1000;
    const pause = Math.min(longest, FIRST_THROTTLE_MS * 2 ** service.failures);
    service.failures += 1;
    service.throttled?.stop();
    service.throttled = after(pause, () => {
      service.throttled = undefined;
      this.#poller.wake();
    });
  }

  /** `undefined` for services that are never told. */
  #stressOf(service: Service, limit: number): boolean | undefined {
    return isToldOfStress(service, limit) ? monotonic() < service.stressUntil : undefined;
  }

  /** Called when a service may have run out of processes. */
  #noteLimit(service: Service, child: Child): void {
    const limit = limitOf(service, this.#defaultLimit());
    if (limit === 1 || shareInUse(service) < limit) return;
    const now = monotonic();
    const stress = this.#stressOf(service, limit);
    if (stress === false && (child.share === 1 || !isAvailable(service))) {
      service.stressUntil = now + STRESS_MS;
      this.#dropIdleChildren(service);
    }
    if (isAvailable(service) || now - service.limitReportedAt < STRESS_MS) return;
    service.limitReportedAt = now;
    for (const line of limitWarnings(service, limit)) this.#log.warn(line);
  }

  /** The first wake-up comes at once; with `?` only after a client has come. */
  #armWakeup(service: Service): void {
    service.wakeup?.stop();
    const { seconds, onlyIfUsed } = service.entry.wakeup;
    if (seconds === 0 || !this.#options.wakeups) return;
    if (onlyIfUsed && !service.wasUsed) return;
    const wake = () => {
      const [listener] = service.listeners;
      if (listener === undefined) return;
      wakeUp(service.entry, listener, (reason) => {
        if (service.throttled === undefined && this.#isOurs(service)) {
          this.#log.warn(`wake-up of service ${service.entry.name}(${service.key}): ${reason}`);
        }
      });
    };
    wake();
    service.wakeup = every(seconds * 1000, wake);
  }
}

function identityOf(entry: MasterEntry): string {
  return `${entry.type} ${keyOf(entry)}`;
}

function environmentOf(configuration: Configuration): Record<string, string> {
  const logFile = configuration.get('maillog_file');
  return daemonEnvironment(
    {
      imported: configuration.get('import_environment'),
      configDirectory: configuration.directory,
      logTag: configuration.get('syslog_name'),
      postlogSocket: logFile === '' ? undefined : configuration.queuePath('public/postlog'),
      hostname: configuration.get('myhostname'),
    },
    process.env,
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It is gone already.
  }
}

/** Postfix's log has the number of a signal, not its name. */
function signalNumber(signal: NodeJS.Signals): number {
  return constants.signals[signal];
}
