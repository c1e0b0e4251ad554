/**
 * A whole mail system of ours in a fresh directory: real processes, sockets and files, under the
 * user who runs the tests. It is stopped when the test ends, also when it fails.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { eventually } from './condition.ts';
import { freshDirectory } from './directories.ts';
import { readLog } from './log-file.ts';
import { freePort } from './ports.ts';
import { writeSettled } from './settled-file.ts';
import { type OutgoingMessage, sendBySmtp } from './smtp-client.ts';

/** Where the build put our programs; tests run from the project's root. */
export const BUILD = resolve('build');
const root = process.getuid?.() === 0;

/** What a test wants different from the defaults below. */
export interface MailSystemOptions {
  /** main.cf parameters, on top of the defaults; undefined takes one of them out. */
  readonly main?: Readonly<Record<string, string | undefined>>;
  /** Lines for master.cf: a line replaces the default one of the same service name and type. */
  readonly master?: readonly string[];
  /** The whole of master.cf, but for postlog; `127.0.0.1:0` stands for the free port. */
  readonly only?: readonly string[];
  /** Other files below the configuration directory: name to content. */
  readonly files?: Readonly<Record<string, string>>;
  /** Do not start it yet. */
  readonly stopped?: boolean;
  /** Make a directory `mail` that every user may put a mailbox in. */
  readonly mailDirectory?: boolean;
  /** Another postfix(1) to start and stop it with. */
  readonly postfix?: string;
}

/** How a command of ours ended. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A mail system under test. */
export interface MailSystem {
  readonly directory: string;
  readonly config: string;
  readonly queue: string;
  /** Where smtpd listens, on 127.0.0.1. */
  readonly port: number;
  /** The log so far, in whole lines. What a daemon has just done may not be in it yet: see waitForLog. */
  log(): string;
  /** Waits for a line, and returns it. */
  waitForLog(pattern: RegExp, limitMs?: number): Promise<string>;
  /** Sends a message by SMTP; throws when it is refused. */
  send(message: OutgoingMessage): Promise<string>;
  run(command: string, args?: readonly string[], input?: string): CommandResult;
  start(): void;
  stop(): void;
  /** Ids of the messages in a queue. */
  ids(queue: string): string[];
  /** Waits until nothing is queued. */
  waitUntilEmpty(limitMs?: number): Promise<void>;
  /** Messages in a Maildir below the instance's directory. */
  maildir(name?: string): string[];
  masterPid(): number;
}

const POSTLOG = 'postlog unix-dgram n - n - 1 postlogd';
const MASTER_CF = (port: number): string[] => [
  `127.0.0.1:${port} inet n - n - - smtpd`,
  'pickup unix n - n 60 1 pickup',
  'cleanup unix n - n - 0 cleanup',
  'qmgr unix n - n 300 1 qmgr',
  'tlsmgr unix - - n 1000? 1 tlsmgr',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'verify unix - - n - 1 verify',
  'flush unix n - n 1000? 0 flush',
  'proxymap unix - - n - - proxymap',
  'smtp unix - - n - - smtp',
  'relay unix - - n - - smtp',
  'showq unix n - n - - showq',
  'error unix - - n - - error',
  'retry unix - - n - - error',
  'discard unix - - n - - discard',
  'local unix - n n - - local',
  'lmtp unix - - n - - lmtp',
  'anvil unix - - n - 1 anvil',
  'scache unix - - n - 1 scache',
  POSTLOG,
];

/** Starts a mail system; mail for `lab.test` is local. */
export async function startMailSystem(
  t: TestContext,
  options: MailSystemOptions = {},
): Promise<MailSystem> {
  const directory = freshDirectory(t);
  const port = await freePort();
  const config = join(directory, 'etc');
  const queue = join(directory, 'spool');
  const logFile = join(directory, 'maillog');
  for (const path of [config, queue]) mkdirSync(path, { mode: 0o755 });
  const data = join(directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  if (root) spawnSync('chown', ['postfix', data]);
  const main: Record<string, string | undefined> = {
    compatibility_level: '3.6',
    queue_directory: queue,
    data_directory: data,
    daemon_directory: join(BUILD, 'libexec'),
    command_directory: join(BUILD, 'bin'),
    mail_owner: root ? 'postfix' : userInfo().username,
    maillog_file: logFile,
    maillog_file_prefixes: directory,
    myhostname: 'mx.lab.test',
    mydomain: 'lab.test',
    mydestination: 'mx.lab.test, lab.test, localhost',
    mynetworks: '127.0.0.0/8',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    alias_maps: `texthash:${join(config, 'aliases')}`,
    alias_database: '',
    home_mailbox: 'Maildir/',
    service_throttle_time: '1s',
    ...options.main,
  };
  const set = Object.entries(main).filter(([, value]) => value !== undefined);
  const lines = set.map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(config, 'main.cf'), lines.join(''));
  const services = options.only
    ? wholeMasterCf(options.only, port)
    : masterCf(port, options.master ?? []);
  writeFileSync(join(config, 'master.cf'), services);
  writeFileSync(join(config, 'aliases'), 'postmaster root\n');
  for (const [name, content] of Object.entries(options.files ?? {})) {
    mkdirSync(dirname(join(config, name)), { recursive: true });
    writeFileSync(join(config, name), content);
  }
  chmodSync(config, 0o755);

  const environment: NodeJS.ProcessEnv = { ...process.env, MAIL_CONFIG: config };
  delete environment.NODE_EXTRA_CA_CERTS;
  const postfix = (verb: string): CommandResult =>
    options.postfix === undefined
      ? system.run('postfix', [verb])
      : spawnSync(options.postfix, ['-c', config, verb], { encoding: 'utf8', env: environment });
  const system: MailSystem = {
    directory,
    config,
    queue,
    port,
    log: () => readLog(logFile),
    waitForLog: (pattern, limitMs) =>
      eventually(
        `${pattern} in the log`,
        () =>
          readLog(logFile)
            .split('\n')
            .find((line) => pattern.test(line)),
        limitMs,
      ),
    run(command, args = [], input) {
      const { status, stdout, stderr } = spawnSync(join(BUILD, 'bin', command), args, {
        input: input ?? '',
        encoding: 'utf8',
        env: environment,
        timeout: 60_000,
        maxBuffer: 64 * 1024 * 1024,
      });
      return { status, stdout, stderr };
    },
    send: (message) => sendBySmtp(port, message),
    start() {
      const { status, stderr } = postfix('start');
      if (status !== 0) throw new Error(`postfix start: ${status}\n${stderr}\n${system.log()}`);
    },
    stop() {
      postfix('stop');
    },
    ids: (name) => idsBelow(join(queue, name)),
    waitUntilEmpty: (limitMs) =>
      eventually(
        'an empty queue',
        // Twice: a message that moves while we look may be in none of the places that we see.
        () => isEmpty(system) && isEmpty(system),
        limitMs,
      ).then(() => {}),
    maildir: (name = 'Maildir') => maildirMessages(join(directory, name)),
    masterPid: () => Number(readFileSync(join(queue, 'pid/master.pid'), 'latin1').trim()),
  };
  atEnd(t, () => {
    system.stop();
    tellFailure(t, system);
  });
  if (options.mailDirectory === true) {
    mkdirSync(join(directory, 'mail'));
    chmodSync(join(directory, 'mail'), 0o1777);
  }
  if (options.stopped !== true) system.start();
  return system;
}

/** How many lines of its log go with a test that fails. */
const LOG_LINES_TOLD = 150;

/** Whoever reads that a test has failed finds the log beside it: it may not happen again. */
function tellFailure(t: TestContext, system: MailSystem): void {
  // Node 20's own types do not know it yet.
  if ((t as { readonly passed?: boolean }).passed !== false) return;
  const lines = system.log().trimEnd().split('\n').slice(-LOG_LINES_TOLD);
  for (const line of lines) t.diagnostic(line);
}

function isEmpty(system: MailSystem): boolean {
  const queues = ['maildrop', 'incoming', 'deferred', 'active'];
  return queues.every((name) => system.ids(name).length === 0);
}

function masterCf(port: number, lines: readonly string[]): string {
  const identity = (line: string) => line.split(/\s+/).slice(0, 2).join(' ');
  const replaced = new Set(lines.map(identity));
  const kept = MASTER_CF(port).filter((line) => !replaced.has(identity(line)));
  return `${[...kept, ...lines].join('\n')}\n`;
}

function wholeMasterCf(lines: readonly string[], port: number): string {
  const text = lines.join('\n').replace('127.0.0.1:0', `127.0.0.1:${port}`);
  return /^postlog/m.test(text) ? `${text}\n` : `${text}\n${POSTLOG}\n`;
}

function idsBelow(path: string): string[] {
  const found: string[] = [];
  for (const entry of readdirIfThere(path)) {
    const below = join(path, entry);
    if (entry.length === 1) found.push(...idsBelow(below));
    else if (!entry.includes('.') && statSync(below, { throwIfNoEntry: false })?.isFile()) {
      found.push(entry);
    }
  }
  return found;
}

function maildirMessages(path: string): string[] {
  return readdirIfThere(join(path, 'new'))
    .sort()
    .map((name) => readFileSync(join(path, 'new', name), 'latin1'));
}

function readdirIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
