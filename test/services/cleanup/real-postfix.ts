/**
 * A private instance of the real Postfix, in which daemons of ours may stand beside its own. Needs
 * root and Debian's postfix; tests that want one are skipped elsewhere.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { lookupGroup, lookupUser } from '../../../lib/os/identity.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { readLog } from '../../support/log-file.ts';
import { writeSettled } from '../../support/settled-file.ts';

const REAL_DAEMONS = '/usr/lib/postfix/sbin';

/** Why there is no real Postfix to compare with; false when there is. */
export const noRealPostfix: string | false =
  process.geteuid?.() !== 0
    ? 'needs root'
    : existsSync(`${REAL_DAEMONS}/cleanup`)
      ? false
      : 'Postfix is not installed';

export interface RealPostfix {
  readonly directory: string;
  readonly queue: string;
  readonly configuration: string;
  log(): string;
}

export interface RealPostfixOptions {
  readonly main?: Readonly<Record<string, string>>;
  /** Lines of master.cf beside cleanup, rewrite, bounce, defer, trace and postlog. */
  readonly master?: readonly string[];
  /** Files of the configuration directory. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Starts an instance; commands `ours-NAME` in master.cf are build/libexec/NAME. */
export async function startRealPostfix(
  t: TestContext,
  options: RealPostfixOptions = {},
): Promise<RealPostfix> {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-real-'));
  const owner = lookupUser('postfix');
  const group = lookupGroup('postdrop');
  if (owner === undefined || group === undefined) throw new Error('no user postfix');
  chmodSync(directory, 0o755);
  const queue = join(directory, 'spool');
  const configuration = join(directory, 'etc');
  const daemons = join(directory, 'libexec');
  for (const name of [queue, configuration, daemons, join(directory, 'data')]) mkdirSync(name);
  chownSync(join(directory, 'data'), owner.uid, owner.gid);
  makeQueue(queue, owner, group.gid);
  for (const name of readdirSync(REAL_DAEMONS)) {
    symlinkSync(join(REAL_DAEMONS, name), join(daemons, name));
  }
  for (const name of readdirSync('build/libexec').filter((one) => !one.includes('.'))) {
    symlinkSync(resolve('build/libexec', name), join(daemons, `ours-${name}`));
  }
  const main = {
    compatibility_level: '3.6',
    queue_directory: queue,
    data_directory: join(directory, 'data'),
    daemon_directory: daemons,
    command_directory: '/usr/sbin',
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    myhostname: 'mx.lab.test',
    mydomain: 'lab.test',
    mydestination: 'mx.lab.test, lab.test, localhost',
    alias_maps: '',
    maillog_file: join(directory, 'mail.log'),
    maillog_file_prefixes: directory,
    in_flow_delay: '0',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    relayhost: '[127.0.0.1]:9',
    import_environment: 'MAIL_CONFIG TZ',
    ...options.main,
  };
  const lines = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(configuration, 'main.cf'), lines.join(''));
  const services = [
    'cleanup unix n - n - 0 cleanup',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    ...(options.master ?? []),
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  writeFileSync(join(configuration, 'master.cf'), `${services.join('\n')}\n`);
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(configuration, name), text);
  }
  const master = spawn(join(daemons, 'master'), ['-c', configuration, '-d'], {
    env: { PATH: '/usr/bin:/bin', MAIL_CONFIG: configuration, TZ: 'UTC' },
    stdio: 'ignore',
    detached: true,
  });
  const gone = new Promise((done) => master.once('exit', done));
  atEnd(t, async () => {
    master.kill('SIGTERM');
    await gone;
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  // The last of its sockets: the others are listening by then.
  await eventually('a master that listens', () => existsSync(join(queue, 'public/postlog')));
  return {
    directory,
    queue,
    configuration,
    log: () => readLog(join(directory, 'mail.log')),
  };
}

function makeQueue(queue: string, owner: { uid: number; gid: number }, dropGroup: number): void {
  for (const name of [
    ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming'],
    ...['saved', 'trace', 'private', 'maildrop', 'public', 'pid'],
  ]) {
    const path = join(queue, name);
    mkdirSync(path);
    chmodSync(path, name === 'maildrop' ? 0o730 : name === 'public' ? 0o710 : 0o700);
    const shared = name === 'maildrop' || name === 'public';
    if (name !== 'pid') chownSync(path, owner.uid, shared ? dropGroup : owner.gid);
  }
  chmodSync(join(queue, 'pid'), 0o755);
}
