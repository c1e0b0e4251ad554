import { basename } from 'node:path';
import { dateOf, now } from '../clock/clock.ts';
import { type Configuration, loadConfiguration } from '../config/configuration.ts';
import type { ParameterName } from '../config/parameters.ts';
import { FatalError } from '../log/fatal.ts';
import { type Log, openLog } from '../log/log.ts';
import { chroot } from '../os/files.ts';
import { becomeForever, groupsOf, lookupUser } from '../os/identity.ts';
import { openFilesMax } from '../os/limits.ts';
import { holdUserDatabase } from '../os/user-database.ts';
import { die, dieOfBug } from './failure.ts';
import { inheritedFlowControl, noFlowControl } from './flow-control.ts';
import { type LeaveReason, Lifetime, type LifetimeLimits } from './lifetime.ts';
import { type DaemonOptions, parseDaemonOptions } from './options.ts';
import type { ParametersOf, Service, ServiceContext } from './service.ts';
import { Slots } from './slots.ts';
import {
  AT_FULL_LOAD,
  FINISHES_IN_BACKGROUND,
  MasterChannel,
  noChannel,
} from './status-channel.ts';
import { TableWatch } from './table-watch.ts';
import { startWatchdog } from './watchdog.ts';
import { Workload } from './workload.ts';

/** A daemon that has started: what the skeletons build on. */
export interface Daemon<P extends ParameterName, S> {
  readonly context: ServiceContext<P>;
  readonly state: S;
  readonly options: DaemonOptions;
  readonly slots: Slots;
  readonly lifetime: Lifetime;
}

/** What a skeleton does with a daemon that has started. */
export interface Skeleton<P extends ParameterName, S> {
  /** Clients may come. */
  run(daemon: Daemon<P, S>): void | Promise<void>;
  /** No more clients, please. */
  pause(why: LeaveReason): void;
}

/** A process that serves many is as fast as it gets after thousands: it stays longer than one that serves one. */
const WARM_FACTOR = 20;
/** A pause in which a process that served many can be replaced without anybody noticing. */
const USED_IDLE_MS = 1000;
/** What a process needs for itself, and for a client too many that wants to hear so. */
const FILES_RESERVED = 64;
/** More clients at once than this is a mistake in the environment. */
const SLOTS_MAX = 100_000;

/**
 * Starts a daemon the way master expects it: ipc.md 1.11. It handles its own failures, which end
 * the process, and returns nothing.
 */
export function runDaemon<P extends ParameterName, S>(
  service: Service<P, S>,
  skeleton: Skeleton<P, S>,
): void {
  process.umask(0o077);
  if (service.ioThreads !== undefined) {
    // Read by libuv when its pool is first used, which has not happened yet.
    process.env['UV_THREADPOOL_SIZE'] = String(service.ioThreads);
  }
  const program = basename(process.argv[1] ?? service.name).replace(/\.c?js$/, '');
  let log: Log | undefined;
  const fail = (error: unknown): never => die(log ?? openEarlyLog(program), error);
  const panic = (error: unknown): never => dieOfBug(log ?? openEarlyLog(program), error);
  process.on('uncaughtException', panic);
  process.on('unhandledRejection', panic);
  try {
    const options = parseDaemonOptions(process.argv.slice(2));
    const serviceName = options.serviceName ?? program;
    const { overrides, verbose } = options;
    const configuration = loadConfiguration({ overrides, serviceName, processName: program });
    const opened = openLog({ program, configuration, verbose });
    log = opened;
    for (const warning of configuration.warnings) opened.warn(warning);
    configuration.get('info_log_address_format');
    check(service, options, serviceName);
    process.chdir(configuration.get('queue_directory'));
    start(service, skeleton, { options, serviceName, configuration, log: opened }).catch(fail);
  } catch (error) {
    fail(error);
  }
}

interface Setting {
  readonly options: DaemonOptions;
  readonly serviceName: string;
  readonly configuration: Configuration;
  readonly log: Log;
}

async function start<P extends ParameterName, S>(
  service: Service<P, S>,
  skeleton: Skeleton<P, S>,
  { options, serviceName, configuration, log }: Setting,
): Promise<void> {
  const { standalone } = options;
  const stopping = new AbortController();
  // Only master takes us back to full size; until then its word is final.
  const slotCount = standalone ? 1 : affordable(slotsFromEnvironment(), service, log);
  const context: ServiceContext<P> = {
    parameters: configuration.select(service.parameters) as ParametersOf<P>,
    configuration,
    log,
    tables: new TableWatch(
      configuration,
      log,
      (name) => renewOrLeave(name),
      () => context.retire(),
    ),
    serviceName,
    transportType: options.transportType,
    args: options.args,
    stopping: stopping.signal,
    standalone,
    slots: slotCount ?? 1,
    flow: standalone ? noFlowControl : inheritedFlowControl,
    retire: () => lifetime.leave('used'),
  };
  const generation = standalone ? 0 : generationFromEnvironment();
  const state = (await service.open?.(context)) as S;
  await context.tables.ready();
  const dropped = dropPrivileges(options, configuration);
  await service.start?.(context, state);

  const lifetime = new Lifetime(
    limitsOf(service, context, options),
    (why) => {
      skeleton.pause(why);
      slots.retire();
      stopping.abort();
    },
    () => {
      leave(service, context, state).catch((error) => die(log, error));
    },
  );
  const renewOrLeave = (what: string) => {
    const { tables } = context;
    if (service.renew !== undefined && !dropped) {
      log.info(`${what} has changed -- opened anew`);
      tables.renew(() => service.renew?.(context, state));
      return;
    }
    const then = service.finishesInBackground ? ' - finishing in the background' : ' -- restarting';
    log.info(`${what} has changed${then}`);
    lifetime.leave('tables');
  };
  const channel = standalone
    ? noChannel
    : new MasterChannel(generation, () => lifetime.leave('master'));
  const shared = slotCount !== undefined;
  const alone = shared && options.solitary;
  const overlaps = alone && service.finishesInBackground === true;
  const workload =
    shared && !alone && context.slots > 1
      ? new Workload(() => channel.notify(AT_FULL_LOAD))
      : undefined;
  const slots = new Slots(context.slots, channel, { shared, alone, overlaps }, workload);
  // Master counts a new child as one until it says how many it is.
  if (slotCount !== undefined) channel.report(slotCount);
  if (overlaps) channel.report(FINISHES_IN_BACKGROUND);
  const { watchdogSeconds: watchdog = configuration.get('daemon_timeout') } = service;
  startWatchdog(typeof watchdog === 'number' ? watchdog : watchdog(context));
  await skeleton.run({ context, state, options, slots, lifetime });
  lifetime.start();
  if (!standalone) context.tables.start();
}

async function leave<P extends ParameterName, S>(
  service: Service<P, S>,
  context: ServiceContext<P>,
  state: S,
): Promise<void> {
  await service.stop?.(context, state);
  context.log.flush();
  process.exit(0);
}

function check(
  service: Service<ParameterName, unknown>,
  options: DaemonOptions,
  serviceName: string,
): void {
  if (options.transportType === '' && !options.standalone) {
    throw new FatalError('no transport type specified');
  }
  if (options.args.length > 0 && service.takesArguments !== true) {
    throw new FatalError(`unexpected command-line argument: ${options.args[0]}`);
  }
  if (options.standalone) return;
  if (service.requires === 'solitary' && !options.solitary) {
    throw new FatalError(`service ${serviceName} requires a process limit of 1`);
  }
  if (service.requires === 'unlimited' && !options.unlimited) {
    throw new FatalError(`service ${serviceName} requires a process limit of 0`);
  }
  if (service.privileged === true && options.unprivileged) {
    throw new FatalError(`service ${serviceName} requires privileged operation`);
  }
}

/**
 * Root becomes `mail_owner` where master.cf says so. As a plain user everything stays as it is.
 *
 * @returns whether we have less now than we had
 */
function dropPrivileges(options: DaemonOptions, configuration: Configuration): boolean {
  if (process.geteuid?.() !== 0 || options.standalone) return false;
  const owner = configuration.get('mail_owner');
  // Before the root directory changes: the user database stays outside.
  const user = options.unprivileged ? lookupUser(owner) : undefined;
  if (options.unprivileged && user === undefined) {
    throw new FatalError(`unknown user name value for mail_owner: ${owner}`);
  }
  // As in Postfix: sockets of saslauthd or of a mail filter may be for a group that it is in.
  const groups = user === undefined ? [] : groupsOf(user);
  if (options.chroot) {
    holdUserDatabase();
    // Once it was asked for, Node remembers the time zone, which is a file.
    dateOf(now()).getHours();
    chroot(configuration.get('queue_directory'));
  }
  if (user !== undefined) becomeForever(user, { groups });
  return user !== undefined || options.chroot;
}

function limitsOf<P extends ParameterName>(
  service: Service<P, never> | Service<P, unknown>,
  context: ServiceContext<P>,
  options: DaemonOptions,
): LifetimeLimits {
  const { configuration } = context;
  const idleSeconds = options.maxIdleSeconds ?? configuration.get('max_idle');
  const least = typeof service.idleLimit === 'function' ? service.idleLimit(context) : 0;
  const uses = options.maxUse ?? configuration.get('max_use');
  const clients = context.slots === 1 ? 1 : context.slots * WARM_FACTOR;
  return {
    idleMs: service.idleLimit === false ? 0 : Math.max(idleSeconds, least) * 1000,
    useMax: service.useLimit === false ? 0 : uses * clients,
    usedIdleMs: context.slots === 1 ? 0 : USED_IDLE_MS,
  };
}

/** A master of ours says how many clients we serve at once; Postfix's says nothing. */
function slotsFromEnvironment(): number | undefined {
  const text = process.env['POSTHASTE_SLOTS'];
  if (text === undefined) return undefined;
  const slots = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (slots < 1 || slots > SLOTS_MAX) {
    throw new FatalError(`bad POSTHASTE_SLOTS in the environment: ${text.slice(0, 100)}`);
  }
  return slots;
}

/** Of these slots, those that there are files for. */
function affordable<P extends ParameterName, S>(
  slots: number | undefined,
  { filesPerSlot }: Service<P, S>,
  log: Log,
): number | undefined {
  if (slots === undefined || filesPerSlot === undefined) return slots;
  const filesMax = openFilesMax() ?? Infinity;
  const most = Math.max(1, Math.floor((filesMax - FILES_RESERVED) / filesPerSlot));
  if (slots <= most) return slots;
  log.warn(
    `this process may have ${filesMax} open files: it serves ${most} clients at the same time in place of ${slots}`,
  );
  return most;
}

function generationFromEnvironment(): number {
  const text = process.env['GENERATION'] ?? '';
  if (!/^[0-7]{1,11}$/.test(text)) {
    throw new FatalError(`bad generation: ${text.slice(0, 100)}`);
  }
  return Number.parseInt(text, 8);
}

/** Where to say that the command line or main.cf is wrong: the usual log, if it can be found. */
function openEarlyLog(program: string): Log {
  try {
    return openLog({ program, configuration: loadConfiguration({ processName: program }) });
  } catch {
    return openLog({ program });
  }
}
