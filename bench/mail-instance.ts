/** A mail system to load: real Postfix or ours, with the same configuration, in a directory of its own. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export type Kind = 'posthaste' | 'postfix';

/** Where each kind keeps its programs. */
const PROGRAMS = {
  posthaste: { postfix: resolve('build/bin/postfix'), daemons: resolve('build/libexec') },
  postfix: { postfix: '/usr/sbin/postfix', daemons: '/usr/lib/postfix/sbin' },
} as const;

const MASTER_CF = `
PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

export interface MailInstance {
  readonly kind: Kind;
  readonly port: number;
  readonly directory: string;
  masterPid(): number;
  /** Messages in incoming, active, deferred and maildrop. */
  queued(): number;
  stop(): void;
}

/** Whether real Postfix is there to be compared with. */
export function hasPostfix(): boolean {
  return spawnSync(PROGRAMS.postfix.postfix, ['-h']).error === undefined;
}

/** Starts an instance; `parameters` go on top of what both kinds share. */
export function startInstance(
  kind: Kind,
  port: number,
  parameters: Readonly<Record<string, string>>,
): MailInstance {
  const directory = mkdtempSync(join(tmpdir(), `bench-${kind}-`));
  chmodSync(directory, 0o755);
  for (const name of ['etc', 'spool', 'data', 'mail']) mkdirSync(join(directory, name));
  spawnSync('chown', ['postfix', join(directory, 'data')]);
  chmodSync(join(directory, 'mail'), 0o1777);
  const main: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'spool'),
    data_directory: join(directory, 'data'),
    daemon_directory: PROGRAMS[kind].daemons,
    maillog_file: join(directory, 'maillog'),
    maillog_file_prefixes: directory,
    myhostname: 'bench.test',
    mydestination: 'bench.test',
    mynetworks: '127.0.0.0/8',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    alias_maps: '',
    alias_database: '',
    mail_spool_directory: `${join(directory, 'mail')}/`,
    ...parameters,
  };
  const lines = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(directory, 'etc/main.cf'), lines.join(''));
  writeFileSync(join(directory, 'etc/master.cf'), MASTER_CF.replace('PORT', `127.0.0.1:${port}`));
  const config = join(directory, 'etc');
  const environment = { ...process.env };
  delete environment.NODE_EXTRA_CA_CERTS;
  const postfix = (verb: string) =>
    spawnSync(PROGRAMS[kind].postfix, ['-c', config, verb], { encoding: 'utf8', env: environment });
  const { status, stderr } = postfix('start');
  if (status !== 0) throw new Error(`${kind} did not start: ${stderr}`);
  return {
    kind,
    port,
    directory,
    masterPid: () => Number(readFileSync(join(directory, 'spool/pid/master.pid'), 'latin1').trim()),
    queued: () =>
      ['maildrop', 'incoming', 'active', 'deferred'].reduce(
        (sum, name) => sum + filesIn(join(directory, 'spool', name)),
        0,
      ),
    stop() {
      postfix('stop');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function filesIn(path: string): number {
  return readdirSync(path, { withFileTypes: true }).reduce(
    (sum, entry) => sum + (entry.isDirectory() ? filesIn(join(path, entry.name)) : 1),
    0,
  );
}
