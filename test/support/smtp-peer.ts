/**
 * The far end of SMTP or LMTP, scripted: `startSmtpPeer(t, { RCPT: '450 4.7.1 come back later' })`.
 * It is polite unless the script says otherwise, and remembers what it was told.
 */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { DotUnstuffer } from '../../lib/smtp/dot.ts';
import { atEnd } from './cleanup.ts';
import { PATIENCE_MS } from './condition.ts';

/**
 * What the peer does at one point. A text is its reply (`\n` between lines; sent as is, CRLF
 * added); `drop` closes the connection; `silent` waits for ever; `destroy` resets it.
 */
export type PeerAction = string | { readonly raw: string | Buffer };

/** One action, or one per occurrence (the last repeats), or computed. */
export type PeerStep =
  | PeerAction
  | readonly PeerAction[]
  | ((argument: string, session: PeerSession) => PeerAction | Promise<PeerAction>);

/** Step by name: CONNECT (the greeting), a verb, or END_OF_DATA. */
export interface PeerScript {
  readonly CONNECT?: PeerStep;
  readonly EHLO?: PeerStep;
  readonly HELO?: PeerStep;
  readonly LHLO?: PeerStep;
  readonly MAIL?: PeerStep;
  readonly RCPT?: PeerStep;
  readonly DATA?: PeerStep;
  readonly END_OF_DATA?: PeerStep;
  readonly RSET?: PeerStep;
  readonly NOOP?: PeerStep;
  readonly QUIT?: PeerStep;
  readonly XFORWARD?: PeerStep;
  readonly VRFY?: PeerStep;
  /** What EHLO and LHLO offer. */
  readonly extensions?: readonly string[];
  readonly lmtp?: boolean;
  /** Listen on a socket in the file system, not on 127.0.0.1. */
  readonly path?: string;
  readonly address?: string;
  readonly port?: number;
  /** Stops reading at DATA: a peer that is slow to take the message. */
  readonly pauseData?: boolean;
}

export interface PeerMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Dots removed, CRLF line ends. */
  readonly content: string;
}

export interface PeerSession {
  readonly commands: string[];
  readonly messages: PeerMessage[];
  /** Chunks as they came, for those who count writes. */
  readonly chunks: Buffer[];
}

export interface SmtpPeer {
  readonly port: number;
  readonly path: string;
  readonly sessions: readonly PeerSession[];
  /** All sessions' commands and messages, in order of arrival. */
  readonly commands: readonly string[];
  readonly messages: readonly PeerMessage[];
  /** No client is connected. */
  readonly isIdle: boolean;
  /** Resolves when that many messages have come; fails when they do not in 20 s. */
  waitForMessages(count: number): Promise<readonly PeerMessage[]>;
  /** Resolves when `condition` holds after something happened here; fails after 20 s. */
  waitFor(condition: () => boolean): Promise<void>;
  close(): void;
}

const EXTENSIONS = [
  'PIPELINING',
  'SIZE 10240000',
  '8BITMIME',
  'ENHANCEDSTATUSCODES',
  'DSN',
  'SMTPUTF8',
];

/** Starts the peer; it ends with the test. */
export async function startSmtpPeer(t: TestContext, script: PeerScript = {}): Promise<SmtpPeer> {
  const sessions: PeerSession[] = [];
  const commands: string[] = [];
  const messages: PeerMessage[] = [];
  const sockets = new Set<Socket>();
  const watchers = new Set<() => void>();
  const counts = new Map<string, number>();
  const note = () => {
    for (const watcher of watchers) watcher();
  };

  const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
    sockets.add(socket);
    const session: PeerSession = { commands: [], messages: [], chunks: [] };
    sessions.push(session);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      note();
    });
    const conversation = new Conversation(socket, session, script, {
      counts,
      command: (line) => {
        commands.push(line);
        session.commands.push(line);
        note();
      },
      message: (message) => {
        messages.push(message);
        session.messages.push(message);
        note();
      },
    });
    note();
    conversation.run().catch(() => socket.destroy());
  });
  if (script.path !== undefined) server.listen(script.path);
  else server.listen(script.port ?? 0, script.address ?? '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  atEnd(t, close);

  const waitFor = (condition: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!condition()) return;
        watchers.delete(check);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        watchers.delete(check);
        reject(new Error(`The SMTP peer waited in vain. It was told: ${commands.join(' | ')}`));
      }, PATIENCE_MS);
      watchers.add(check);
      check();
    });

  return {
    port: script.path === undefined ? (server.address() as AddressInfo).port : 0,
    path: script.path ?? '',
    sessions,
    commands,
    messages,
    get isIdle() {
      return sockets.size === 0;
    },
    waitFor,
    async waitForMessages(count) {
      await waitFor(() => messages.length >= count);
      return messages;
    },
    close,
  };
}

interface Ledger {
  readonly counts: Map<string, number>;
  command(line: string): void;
  message(message: PeerMessage): void;
}

/** One client, from greeting to the end. */
class Conversation {
  readonly #socket: Socket;
  readonly #session: PeerSession;
  readonly #script: PeerScript;
  readonly #ledger: Ledger;
  #pending = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};
  #sender = '';
  #recipients: string[] = [];

  constructor(socket: Socket, session: PeerSession, script: PeerScript, ledger: Ledger) {
    this.#socket = socket;
    this.#session = session;
    this.#script = script;
    this.#ledger = ledger;
    socket.on('data', (chunk: Buffer) => {
      session.chunks.push(chunk);
      this.#pending = Buffer.concat([this.#pending, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end);
  }

  async run(): Promise<void> {
    if (!(await this.#act('CONNECT', '', '220 peer.example ESMTP'))) return;
    for (let line = await this.#line(); line !== undefined; line = await this.#line()) {
      this.#ledger.command(line);
      if (!(await this.#command(line))) return;
    }
    this.#socket.end();
  }

  async #command(line: string): Promise<boolean> {
    const verb = (/^[A-Za-z]*/.exec(line)?.[0] ?? '').toUpperCase();
    const argument = line.slice(verb.length).trim();
    switch (verb) {
      case 'EHLO':
      case 'LHLO':
        return await this.#act(verb, argument, this.#offer());
      case 'HELO':
        return await this.#act(verb, argument, '250 peer.example');
      case 'MAIL':
        this.#sender = /<(.*?)>/.exec(argument)?.[1] ?? '';
        this.#recipients = [];
        return await this.#act(verb, argument, '250 2.1.0 Ok');
      case 'RCPT':
        return await this.#act(verb, argument, '250 2.1.5 Ok', (accepted) => {
          if (accepted) this.#recipients.push(/<(.*)>/.exec(argument)?.[1] ?? '');
        });
      case 'DATA':
        return await this.#data(argument);
      case 'QUIT':
        await this.#act(verb, argument, '221 2.0.0 Bye');
        this.#socket.end();
        return false;
      case 'RSET':
      case 'NOOP':
      case 'XFORWARD':
        return await this.#act(verb, argument, '250 2.0.0 Ok');
      case 'VRFY':
        return await this.#act(verb, argument, '252 2.0.0 maybe');
      default:
        return await this.#act(verb, argument, '502 5.5.2 Error: command not recognized');
    }
  }

  #offer(): string {
    const lines = ['peer.example', ...(this.#script.extensions ?? EXTENSIONS)];
    const last = lines.length - 1;
    return lines.map((line, index) => `250${index === last ? ' ' : '-'}${line}`).join('\n');
  }

  async #data(argument: string): Promise<boolean> {
    if (this.#script.DATA === undefined && this.#recipients.length === 0) {
      return await this.#act('DATA', argument, '554 5.5.1 Error: no valid recipients');
    }
    let goAhead = false;
    const onReply = (_accepted: boolean, text: string) => {
      goAhead = text.startsWith('354');
    };
    if (!(await this.#act('DATA', argument, '354 End data with <CR><LF>.<CR><LF>', onReply))) {
      return false;
    }
    if (!goAhead) return true;
    if (this.#script.pauseData) {
      this.#socket.pause();
      return true;
    }
    const content = await this.#content();
    if (content === undefined) return false;
    this.#ledger.message({ sender: this.#sender, recipients: this.#recipients, content });
    const replies = this.#script.lmtp ? this.#recipients : [''];
    for (const recipient of replies) {
      if (!(await this.#act('END_OF_DATA', recipient, '250 2.0.0 Ok: queued as PEER')))
        return false;
    }
    return true;
  }

  async #content(): Promise<string | undefined> {
    const unstuffer = new DotUnstuffer();
    const parts: Buffer[] = [];
    for (;;) {
      const { content, done, rest } = unstuffer.push(this.#pending);
      parts.push(content);
      this.#pending = Buffer.from(rest);
      if (done) return Buffer.concat(parts).toString('utf8');
      if (!(await this.#more())) return undefined;
    }
  }

  /** Does what the script says, or replies `otherwise`. False: the conversation is over. */
  async #act(
    name: string,
    argument: string,
    otherwise: string,
    onReply?: (accepted: boolean, text: string) => void,
  ): Promise<boolean> {
    const action = await this.#choose(name, argument, otherwise);
    if (typeof action !== 'string') {
      this.#socket.write(action.raw);
      return true;
    }
    if (action === 'drop') {
      this.#socket.end();
      return false;
    }
    if (action === 'destroy') {
      this.#socket.resetAndDestroy();
      return false;
    }
    if (action === 'silent') {
      while (await this.#more()) this.#pending = Buffer.alloc(0);
      return false;
    }
    onReply?.(action.startsWith('2'), action);
    this.#socket.write(`${action.replaceAll('\n', '\r\n')}\r\n`);
    return true;
  }

  async #choose(name: string, argument: string, otherwise: string): Promise<PeerAction> {
    const step = (this.#script as Record<string, unknown>)[name] as PeerStep | undefined;
    if (step === undefined) return otherwise;
    if (typeof step === 'function') return await step(argument, this.#session);
    if (!Array.isArray(step)) return step as PeerAction;
    const count = this.#ledger.counts.get(name) ?? 0;
    this.#ledger.counts.set(name, count + 1);
    return (step as readonly PeerAction[])[Math.min(count, step.length - 1)] ?? otherwise;
  }

  async #line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end !== -1) {
        const line = this.#pending.toString('utf8', 0, end);
        this.#pending = this.#pending.subarray(end + 2);
        return line;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return !this.#ended || this.#pending.length > 0;
  }
}
