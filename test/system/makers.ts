/** A whole mail system of either maker, and the commands of either maker on its queue. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  BUILD,
  type CommandResult,
  type MailSystem,
  type MailSystemOptions,
  startMailSystem,
} from '../support/mail-system.ts';
import { daemonDirectory, type Maker } from '../support/real-postfix.ts';

export const MAKERS: readonly Maker[] = ['ours', 'real'];

/** What a maker's mail system is called in the names of tests. */
export const NAMES: Readonly<Record<Maker, string>> = { ours: 'Posthaste', real: 'Postfix' };

export function otherThan(maker: Maker): Maker {
  return maker === 'ours' ? 'real' : 'ours';
}

/** main.cf parameters that say whose programs an instance is run with. */
export function programsOf(maker: Maker): Record<string, string> {
  return {
    daemon_directory: daemonDirectory(maker),
    command_directory: commandDirectory(maker),
  };
}

/** A mail system of one maker that delivers to `mail/` and relays to `relayPort`. */
export function startSystemOf(
  t: TestContext,
  maker: Maker,
  { relayPort, ...options }: MailSystemOptions & { readonly relayPort: number },
): Promise<MailSystem> {
  return startMailSystem(t, {
    ...options,
    postfix: maker === 'ours' ? undefined : '/usr/sbin/postfix',
    mailDirectory: true,
    main: {
      ...programsOf(maker),
      relayhost: `[127.0.0.1]:${relayPort}`,
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      ...options.main,
    },
  });
}

/** Runs a command of one maker on an instance. */
export function runTool(
  maker: Maker,
  mail: MailSystem,
  command: string,
  args: readonly string[] = [],
  input = '',
): CommandResult {
  const path = join(commandDirectory(maker), command);
  const where = command === 'sendmail' ? '-C' : '-c';
  const { status, stdout, stderr } = spawnSync(path, [where, mail.config, ...args], {
    // Real commands call themselves as they were called.
    argv0: command,
    input,
    encoding: 'latin1',
    env: { PATH: process.env.PATH },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

function commandDirectory(maker: Maker): string {
  return maker === 'ours' ? join(BUILD, 'bin') : '/usr/sbin';
}
