/** A saslauthd of a test's own, which asks an IMAP server of the test's whether a password is right. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { eventually } from './condition.ts';
import { freshDirectory } from './directories.ts';

const PROGRAM = '/usr/sbin/saslauthd';
const WRITER = '/usr/sbin/saslpasswd2';

export function whyNoSaslauthd(): string | false {
  if (process.getuid?.() !== 0) return 'saslauthd needs root';
  return existsSync(PROGRAM) ? false : "Debian's sasl2-bin is not installed";
}

export interface Saslauthd {
  /** Its socket. */
  readonly path: string;
  stop(): Promise<void>;
}

/** @param users names and passwords */
export async function startSaslauthd(
  t: TestContext,
  users: Readonly<Record<string, string>>,
): Promise<Saslauthd> {
  const port = await startImapServer(t, users);
  const directory = freshDirectory(t, 'saslauthd');
  const path = join(directory, 'mux');
  const options = ['-d', '-n', '1', '-a', 'rimap', '-O', `127.0.0.1/${port}`, '-m', directory];
  // It ends its whole process group, so that it needs one of its own.
  const child = spawn(PROGRAM, options, { stdio: 'ignore', detached: true });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = () => {
    child.kill();
    return ended;
  };
  atEnd(t, stop);
  await eventually('the socket of saslauthd', () => existsSync(path));
  return { path, stop };
}

/** As much of IMAP as saslauthd speaks. */
async function startImapServer(
  t: TestContext,
  users: Readonly<Record<string, string>>,
): Promise<number> {
  const server = createServer((socket) => {
    socket.setEncoding('utf8').on('error', () => {});
    socket.write('* OK ready\r\n');
    socket.on('data', (line: string) => {
      const [tag = '*', command = '', ...words] = line.trim().split(' ');
      const [user = '', password = ''] = words.map((word) => word.replace(/^"(.*)"$/, '$1'));
      const isRight = command.toUpperCase() !== 'LOGIN' || users[user] === password;
      socket.write(`${tag} ${isRight ? 'OK' : 'NO'} done\r\n`);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  atEnd(t, () => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Writes a sasldb2, and returns its path. @param users by `name@realm` */
export function writeSasldb(t: TestContext, users: Readonly<Record<string, string>>): string {
  const path = join(freshDirectory(t, 'sasldb'), 'sasldb2');
  for (const [user, password] of Object.entries(users)) {
    const [name = '', realm = ''] = user.split('@');
    const options = ['-p', '-c', '-f', path, '-u', realm, name];
    const { status, stderr } = spawnSync(WRITER, options, { input: password, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${WRITER}: ${stderr}`);
  }
  chmodSync(path, 0o644);
  return path;
}
