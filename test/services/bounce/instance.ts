/**
 * A mail system of bounce, defer and trace alone, under the real master: real Postfix's or our
 * daemons, and a cleanup of the test's own that keeps what it is given.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { lookupUser } from '../../../lib/os/identity.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { readLog } from '../../support/log-file.ts';

export const REAL_DAEMONS = '/usr/lib/postfix/sbin';
export const OUR_DAEMONS = join(process.cwd(), 'build/libexec');
const REAL_MASTER = join(REAL_DAEMONS, 'master');

/** Why these tests can't run here; false when they can. */
export function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, as the real master does';
  if (!existsSync(REAL_MASTER)) return 'real Postfix is not installed';
  return false;
}

/** One message that the daemon queued: its records as `N text`. */
export interface Notice {
  readonly flags: number;
  readonly records: readonly string[];
}

export interface Instance {
  readonly queue: string;
  readonly notices: Notice[];
  /** Sends one attribute list to a service and returns the status of the answer. */
  ask(
    service: string,
    attributes: readonly (readonly [string, string | number])[],
  ): Promise<number>;
  writeQueueFile(queueId: string, records: readonly (readonly [string, string])[]): void;
  readLog(service: string, queueId: string): string | undefined;
  writeLog(service: string, queueId: string, text: string): void;
  /** `RD`: the first recipient is to do, the second done. */
  recipientMarks(queueId: string): string;
  log(): string;
  waitForLog(text: string): Promise<void>;
  waitFor(condition: () => boolean): Promise<void>;
  removeLog(service: string, queueId: string): void;
}

/** Starts it in a fresh directory; everything is gone when the test ends. */
export async function startInstance(
  t: TestContext,
  daemons: string,
  parameters: Record<string, string> = {},
): Promise<Instance> {
  const root = mkdtempSync(join(tmpdir(), 'bounce-'));
  chmodSync(root, 0o755);
  const owner = lookupUser('postfix');
  if (owner === undefined) throw new Error('there is no user postfix');
  const at = (...parts: string[]) => join(root, ...parts);
  const folders = 'pid public private active incoming bounce defer trace deferred'.split(' ');
  for (const folder of ['etc', 'data', 'queue', 'log', ...folders.map((name) => `queue/${name}`)]) {
    mkdirSync(at(folder));
    const rootOwned = folder === 'etc' || folder === 'queue' || folder === 'queue/pid';
    if (!rootOwned) chownSync(at(folder), owner.uid, 0);
  }
  const logFile = at('log', 'mail.log');
  const main: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: at('queue'),
    data_directory: at('data'),
    daemon_directory: daemons,
    myhostname: 'mx.lab.test',
    myorigin: 'lab.test',
    inet_interfaces: 'loopback-only',
    maillog_file: logFile,
    maillog_file_prefixes: '/',
    hash_queue_names: 'none',
    ...parameters,
  };
  writeFileSync(
    at('etc/main.cf'),
    Object.entries(main)
      .map(([n, v]) => `${n} = ${v}\n`)
      .join(''),
  );
  // Real programs wait until a main.cf is two seconds old: somebody might still be writing.
  utimesSync(at('etc/main.cf'), 0, 0);
  writeFileSync(
    at('etc/master.cf'),
    ['bounce', 'defer', 'trace'].map((name) => `${name} unix - - n - 0 bounce\n`).join('') +
      ['error', 'retry'].map((name) => `${name} unix - - n - - error\n`).join('') +
      'discard unix - - n - - discard\n' +
      'postlog unix-dgram n - n - 1 postlogd\n',
  );

  const notices: Notice[] = [];
  const cleanup = net.createServer((socket) => receiveNotice(socket, notices));
  await new Promise<void>((resolve) => cleanup.listen(at('queue/public/cleanup'), resolve));
  chmodSync(at('queue/public/cleanup'), 0o666);

  const master = spawn(REAL_MASTER, ['-c', at('etc'), '-d'], { stdio: 'ignore', detached: true });
  const gone = new Promise((resolve) => master.once('exit', resolve));
  atEnd(t, async () => {
    // The group is master and its daemons; asked politely it takes a second longer.
    process.kill(-(master.pid as number), 'SIGKILL');
    await gone;
    cleanup.close();
    rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  });
  await eventually(
    'master',
    // The last line of master.cf is the last socket to be made.
    () => existsSync(at('queue/public/postlog')) && existsSync(at('queue/pid/master.pid')),
  );

  const log = () => readLog(logFile);
  const path = (service: string, queueId: string) => at('queue', service, queueId);
  return {
    queue: at('queue'),
    notices,
    ask: (service, attributes) => ask(at('queue/private', service), attributes),
    writeQueueFile(queueId, records) {
      writeFileSync(path('active', queueId), queueFile(records), { mode: 0o700 });
      chmodSync(path('active', queueId), 0o700);
      chownSync(path('active', queueId), owner.uid, owner.gid);
    },
    readLog: (service, queueId) =>
      existsSync(path(service, queueId)) ? readFileSync(path(service, queueId), 'utf8') : undefined,
    writeLog(service, queueId, text) {
      writeFileSync(path(service, queueId), text, { mode: 0o600 });
      chownSync(path(service, queueId), owner.uid, owner.gid);
    },
    recipientMarks: (queueId) => marks(path('active', queueId)),
    log,
    waitFor: (condition) =>
      eventually('what the service does', condition).then(
        () => {},
        (error: Error) => {
          throw new Error(`${error.message}. The log:\n${log()}`);
        },
      ),
    removeLog: (service, queueId) => rmSync(path(service, queueId), { force: true }),
    async waitForLog(text) {
      await eventually(`${text} in the log`, () => log().includes(text));
    },
  };
}

/** Types of the records that hold an address of mix.test. */
function marks(path: string): string {
  if (!existsSync(path)) return '';
  return [...readFileSync(path, 'latin1').matchAll(/([A-Z])[\x00-\x7f]bad ?\d@mix\.test/g)]
    .map((found) => found[1])
    .join('');
}

/** Where in the queue file the record of a recipient starts. */
export function offsetOf(records: readonly (readonly [string, string])[], address: string): number {
  return queueFile(records).indexOf(address) - 2;
}

let notice = 0;

/** The far end of one notice: takes records up to E, and says it is queued. */
function receiveNotice(socket: net.Socket, notices: Notice[]): void {
  notice += 1;
  const queueId = `C0FFEE${notice.toString(16).toUpperCase().padStart(4, '0')}`;
  socket.write(`protocol\0cleanup_protocol\0queue_id\0${queueId}\0\0`);
  let received = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    const parsed = parseNotice(received);
    if (parsed === undefined) return;
    notices.push(parsed);
    socket.end('status\x000\0reason\0\0\0');
  });
}

function parseNotice(bytes: Buffer): Notice | undefined {
  const end = bytes.indexOf('\0\0');
  if (end < 0) return undefined;
  const flags = Number(bytes.toString('latin1', 'flags\0'.length, end));
  const records: string[] = [];
  let at = end + 2;
  while (at < bytes.length) {
    const type = String.fromCharCode(bytes[at++] ?? 0);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (at + length > bytes.length) return undefined;
    records.push(`${type} ${bytes.toString('utf8', at, at + length)}`);
    at += length;
    if (type === 'E') return { flags, records };
  }
  return undefined;
}

function ask(
  path: string,
  attributes: readonly (readonly [string, string | number])[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    let answer = '';
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      const status = /status\0(\d+)\0\0/.exec(answer)?.[1];
      if (status === undefined) return;
      socket.destroy();
      resolve(Number(status) | 0);
    });
    socket.on('end', () => reject(new Error(`closed after ${JSON.stringify(answer)}`)));
    socket.write(attributes.map(([name, value]) => `${name}\0${value}\0`).join('') + '\0');
  });
}

/** A queue file, with the size record that the records need. */
export function queueFile(records: readonly (readonly [string, string])[]): Buffer {
  const size = (values: number[]) =>
    record('C', values.map((value) => String(value).padStart(15)).join(' '));
  const parts = records.map(([type, text]) => record(type, text));
  const offset = (index: number) =>
    size([0, 0, 0, 0, 0, 0]).length + Buffer.concat(parts.slice(0, index)).length;
  const content = offset(records.findIndex(([type]) => type === 'M') + 1);
  const extracted = offset(records.findIndex(([type]) => type === 'X'));
  const recipients = records.filter(([type]) => type === 'R').length;
  return Buffer.concat([
    size([extracted - content, content, recipients, 0, extracted - content, 0]),
    ...parts,
  ]);
}

function record(type: string, text: string): Buffer {
  const data = Buffer.from(text, 'utf8');
  const head = [type.charCodeAt(0)];
  let rest = data.length;
  for (; rest > 0x7f; rest >>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return Buffer.concat([Buffer.from(head), data]);
}

/** Runs a command of the real system, for tests that need one. */
export function run(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout;
}
