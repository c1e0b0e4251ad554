import { chmodSync, mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { REAL_DAEMONS } from '../../support/real-postfix.ts';
import { startDaemon } from '../../support/scripted-master.ts';
import { writeSettled } from '../../support/settled-file.ts';

export type Kind = 'ours' | 'postfix';

/** A request: its attributes behind `request`, in order. */
export type Request = readonly [kind: string, first: string, second: string];

/** Writes a main.cf and makes the queue's directories. */
export function prepare(directory: string, main: Readonly<Record<string, string>>): void {
  const queue = join(directory, 'queue');
  for (const name of ['private', 'public', 'pid']) {
    mkdirSync(join(queue, name), { recursive: true });
    chmodSync(join(queue, name), 0o777);
  }
  const settings = {
    compatibility_level: '3.6',
    queue_directory: queue,
    data_directory: directory,
    maillog_file: join(directory, 'log'),
    maillog_file_prefixes: '/',
    myhostname: 'mail.example.com',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    ...main,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(directory, 'main.cf'), lines.join(''));
}

/** Starts a daemon; it is gone with the test. */
export function startRewriting(t: TestContext, directory: string, kind: Kind): Asker {
  const queue = join(directory, 'queue');
  const listen = `private/rewrite.${kind}`;
  const daemon = startDaemon(t, directory, queue, {
    program: kind === 'ours' ? 'libexec/trivial-rewrite.cjs' : `${REAL_DAEMONS}/trivial-rewrite`,
    listen,
    args: ['-n', 'rewrite'],
  });
  const asker = new Asker(
    join(queue, listen),
    daemon.ended.then(({ code }) => code),
  );
  atEnd(t, () => asker.close());
  return asker;
}

/** Asks over one connection, and shows answers as they are on the wire. */
export class Asker {
  /** Resolves when the daemon has left. */
  readonly ended: Promise<unknown>;
  readonly #path: string;
  #socket: Socket | undefined;
  #bytes = '';
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(path: string, ended: Promise<unknown>) {
    this.#path = path;
    this.ended = ended;
  }

  /** @returns `undefined` when the daemon closed the connection instead */
  async ask([kind, first, second]: Request): Promise<string | undefined> {
    if (this.#socket === undefined) {
      this.#open();
      await this.#list();
    }
    const names = kind === 'rewrite' ? ['rule', 'address'] : ['sender', 'address'];
    this.#socket?.write(`request\0${kind}\0${names[0]}\0${first}\0${names[1]}\0${second}\0\0`);
    return this.#list();
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): void {
    this.#bytes = '';
    this.#closed = false;
    const socket = connect(this.#path);
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.#bytes += text;
      this.#wake?.();
    });
    const over = () => {
      this.#closed = true;
      this.#wake?.();
    };
    socket.on('error', over);
    socket.on('close', over);
    this.#socket = socket;
  }

  /** One attribute list, `name=value` in readable form. */
  async #list(): Promise<string | undefined> {
    for (;;) {
      const found = takeList(this.#bytes);
      if (found !== undefined) {
        this.#bytes = found.rest;
        return found.text;
      }
      if (this.#closed) {
        this.close();
        return undefined;
      }
      await new Promise<void>((done) => {
        this.#wake = done;
      });
    }
  }
}

function takeList(bytes: string): { text: string; rest: string } | undefined {
  const items: string[] = [];
  for (let at = 0; ; ) {
    const name = bytes.indexOf('\0', at);
    if (name < 0) return undefined;
    if (name === at) return { text: items.join(' '), rest: bytes.slice(name + 1) };
    const value = bytes.indexOf('\0', name + 1);
    if (value < 0) return undefined;
    items.push(`${bytes.slice(at, name)}=<${bytes.slice(name + 1, value)}>`);
    at = value + 1;
  }
}
