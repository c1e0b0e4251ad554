/** proxymap under test, ours and Postfix's: a child with descriptors handed down, and its clients. */

import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { formatAttributes } from '../../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { atEnd } from '../../support/cleanup.ts';
import { PATIENCE_MS } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type Maker, REAL_DAEMONS } from '../../support/real-postfix.ts';
import { startDaemon } from '../../support/scripted-master.ts';
import { prepare } from '../trivial-rewrite/daemons.ts';

export type Service = 'proxymap' | 'proxywrite';

/** A place for one mail system; every user may reach it. */
export function place(t: TestContext, main: Readonly<Record<string, string>> = {}): string {
  const directory = freshDirectory(t);
  const settled = Object.entries(main).map(([name, value]) => [
    name,
    value.replaceAll('DIR', directory),
  ]);
  prepare(directory, Object.fromEntries(settled));
  chmodSync(directory, 0o777);
  return directory;
}

export interface Running {
  /** Ends it, as a crash would. */
  kill(): Promise<void>;
}

/** Starts one as mail_owner would see it; it is gone with the test. */
export function startProxy(
  t: TestContext,
  directory: string,
  maker: Maker,
  service: Service = 'proxymap',
): Running {
  const daemon = startDaemon(t, directory, join(directory, 'queue'), {
    program: maker === 'ours' ? 'libexec/proxymap.cjs' : `${REAL_DAEMONS}/proxymap`,
    listen: `private/${service}`,
    args: ['-n', service, '-u'],
  });
  return {
    async kill() {
      daemon.kill('SIGKILL');
      await daemon.ended;
    },
  };
}

type Value = string | number;

/** Asks over one connection, and shows answers as they are on the wire. */
export class Asker {
  readonly #connection: IpcConnection;

  private constructor(connection: IpcConnection) {
    this.#connection = connection;
  }

  static async open(
    t: TestContext,
    directory: string,
    service: Service = 'proxymap',
  ): Promise<Asker> {
    const path = join(directory, 'queue/private', service);
    const asker = new Asker(await IpcConnection.connect(path, PATIENCE_MS));
    atEnd(t, () => asker.#connection.abort());
    await asker.#list();
    return asker;
  }

  async ask(request: string, attributes: Readonly<Record<string, Value>>): Promise<string> {
    const all: [string, Value][] = [['request', request], ...Object.entries(attributes)];
    await this.#connection.send(formatAttributes(all));
    return this.#list();
  }

  /** One attribute list, `name=value` in readable form. */
  async #list(): Promise<string> {
    let text = '';
    for (;;) {
      const bytes = await this.#connection.receiveBytes();
      if (bytes === undefined) return `${text} closed`;
      text += bytes.toString('latin1');
      if (/(?:^|\0)\0$/.test(text)) break;
    }
    const words = text.slice(0, -2).split('\0');
    const pairs: string[] = [];
    for (let at = 0; at < words.length; at += 2) pairs.push(`${words[at]}=<${words[at + 1]}>`);
    return pairs.join(' ');
  }
}

export interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

export function postmap(directory: string, maker: Maker, args: readonly string[], input = ''): Ran {
  const program = maker === 'ours' ? resolve('build/bin/postmap') : '/usr/sbin/postmap';
  const env = { PATH: '/usr/bin:/bin', MAIL_CONFIG: directory, LANG: 'C' };
  const ran = spawnSync(program, args, {
    cwd: directory,
    env,
    input,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status: ran.status, output: ran.stdout, errors: ran.stderr };
}
