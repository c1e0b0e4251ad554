/** A Dovecot of a test's own, which does nothing but check passwords. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { eventually } from './condition.ts';
import { freshDirectory } from './directories.ts';
import { freePort } from './ports.ts';

const PROGRAM = '/usr/sbin/dovecot';

export function whyNoDovecot(): string | false {
  if (process.getuid?.() !== 0) return 'Dovecot needs root';
  return existsSync(PROGRAM) ? false : "Debian's dovecot-core is not installed";
}

export interface Dovecot {
  /** Its UNIX socket. */
  readonly socket: string;
  /** The same over TCP, at 127.0.0.1. */
  readonly port: number;
  stop(): Promise<void>;
}

/** What main.cf says for smtpd to ask it. */
export function saslWith({ socket }: Dovecot): Readonly<Record<string, string>> {
  return {
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_type: 'dovecot',
    smtpd_sasl_path: socket,
  };
}

/** @param users names and passwords */
export async function startDovecot(
  t: TestContext,
  users: Readonly<Record<string, string>>,
  { mechanisms = 'plain login cram-md5 scram-sha-256 anonymous' } = {},
): Promise<Dovecot> {
  const directory = freshDirectory(t, 'dovecot');
  const port = await freePort();
  const socket = join(directory, 'auth');
  const lines = Object.entries(users).map(([name, password]) => `${name}:{PLAIN}${password}\n`);
  writeFileSync(join(directory, 'users'), lines.join(''));
  chmodSync(join(directory, 'users'), 0o644);
  mkdirSync(join(directory, 'run'));
  const configuration = join(directory, 'dovecot.conf');
  writeFileSync(
    configuration,
    `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
protocols =
ssl = no
auth_failure_delay = 0
auth_mechanisms = ${mechanisms}
passdb {
  driver = passwd-file
  args = scheme=PLAIN ${directory}/users
}
service auth {
  unix_listener ${socket} {
    mode = 0666
  }
  inet_listener {
    address = 127.0.0.1
    port = ${port}
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
  );
  const child = spawn(PROGRAM, ['-F', '-c', configuration], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = () => {
    child.kill();
    return ended;
  };
  atEnd(t, stop);
  await eventually('the socket of Dovecot', () => existsSync(socket));
  return { socket, port, stop };
}
