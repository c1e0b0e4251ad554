/** Our qmgr as a real process, with a scripted master on its descriptors. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, readdirSync, readSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { trigger } from '../../../lib/clients/trigger.ts';
import { bindUnix, pipe, socketPair } from '../../../lib/os/sockets.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { readLog } from '../../support/log-file.ts';
import { daemonDirectory, type Maker } from '../../support/real-postfix.ts';
import { writeSettled } from '../../support/settled-file.ts';

const QUEUES = [
  'incoming',
  'active',
  'deferred',
  'hold',
  'corrupt',
  'bounce',
  'defer',
  'trace',
  'private',
  'public',
];

/** One instance: its queue directory, and the process when it runs. */
export interface QueueManager {
  readonly directory: string;
  /** Starts the process and waits until it serves. */
  start(): Promise<void>;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** As master does at reload: its end of the status socket closes. */
  leave(): Promise<number | null>;
  /** Sends trigger bytes. */
  trigger(bytes: string): Promise<void>;
  log(): string;
  waitForLog(pattern: RegExp): Promise<string>;
  /** Messages in a queue, however deep. */
  ids(queue: string): string[];
  waitForQueue(queue: string, id: string): Promise<string>;
  waitUntilGone(id: string): Promise<void>;
  /** Tokens in the flow control pipe. */
  tokens(): number;
}

/** Prepares an instance; nothing runs yet. */
export function newQueueManager(
  t: TestContext,
  main: Readonly<Record<string, string>> = {},
  maker: Maker = 'ours',
): QueueManager {
  const open: number[] = [];
  let child: ChildProcess | undefined;
  let status: Socket | undefined;
  const base = freshDirectory(t, 'qmgr');
  atEnd(t, async () => {
    child?.kill('SIGKILL');
    await stopped();
    for (const fd of open) closeSync(fd);
  });
  const directory = join(base, 'spool');
  for (const queue of QUEUES) mkdirSync(join(directory, queue), { recursive: true });
  const settings = {
    queue_directory: directory,
    data_directory: base,
    mail_owner: maker === 'real' ? 'postfix' : userInfo().username,
    myhostname: 'mx.lab.test',
    maillog_file: join(base, 'log'),
    maillog_file_prefixes: base,
    default_process_limit: '20',
    ...main,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(base, 'main.cf'), lines.join(''));
  const flow = pipe('both');
  const listening = bindUnix(join(directory, 'public/qmgr'), 0o666, 100);
  open.push(flow.read, flow.write, listening);

  async function stopped(): Promise<number | null> {
    const process = child;
    child = undefined;
    status?.destroy();
    status = undefined;
    if (process === undefined || process.exitCode !== null) return process?.exitCode ?? null;
    return new Promise((done) => process.once('exit', (code) => done(code)));
  }

  const manager: QueueManager = {
    directory,
    async start() {
      const [ours, theirs] = socketPair();
      const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
      // It gives up root, and says so when it can't read.
      if (maker === 'real') spawnSync('chown', ['-R', 'postfix', base]);
      const options = ['-l', '-n', 'qmgr', '-t', 'unix', ...(maker === 'real' ? ['-u'] : [])];
      child = spawn(`${daemonDirectory(maker)}/qmgr`, options, {
        env: { ...environment, MAIL_CONFIG: base, GENERATION: '1' },
        stdio: ['ignore', 'inherit', 'inherit', flow.read, flow.write, theirs, listening],
      });
      closeSync(theirs);
      status = new Socket({ fd: ours, readable: true, writable: true });
      status.on('error', () => {});
      status.resume();
      await manager.trigger('I');
    },
    async kill() {
      child?.kill('SIGKILL');
      await stopped();
    },
    leave: () => stopped(),
    async trigger(bytes) {
      await trigger(join(directory, 'public/qmgr'), bytes, 10);
    },
    log: () => readLog(join(base, 'log')),
    async waitForLog(pattern) {
      try {
        return await eventually(String(pattern), () =>
          manager
            .log()
            .split('\n')
            .find((line) => pattern.test(line)),
        );
      } catch (error) {
        throw new Error(`${(error as Error).message}; log:\n${manager.log()}`);
      }
    },
    ids(queue) {
      const folder = join(directory, queue);
      const names = readdirSync(folder, { recursive: true }).map(String);
      return names
        .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile())
        .map((name) => name.slice(name.lastIndexOf('/') + 1));
    },
    async waitForQueue(queue, id) {
      try {
        await eventually(`${id} in ${queue}`, () => manager.ids(queue).includes(id));
      } catch (error) {
        throw new Error(`${(error as Error).message}; log:\n${manager.log()}`);
      }
      const folder = join(directory, queue);
      const path = readdirSync(folder, { recursive: true }).map(String);
      return join(folder, path.find((name) => name.endsWith(id)) ?? id);
    },
    async waitUntilGone(id) {
      await manager.waitForLog(new RegExp(`${id}: removed`));
    },
    tokens() {
      const bytes = Buffer.alloc(4096);
      try {
        return readSync(flow.read, bytes);
      } catch {
        return 0;
      }
    },
  };
  return manager;
}
