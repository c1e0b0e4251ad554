/**
 * A milter as a test wants it, on a real socket. It says `continue` to everything unless the script
 * says otherwise, and remembers every packet that it was sent.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';
import { eventually } from './condition.ts';

/** A reply: its letter and what follows, as a byte string. */
export type MilterReply = string;

/** `drop` closes; `silent` says nothing; `huge` begins a packet that is too long. */
type MilterAction = readonly MilterReply[] | 'drop' | 'silent' | 'huge';

/** What it does: replies, one after the other, or something else. */
export type MilterStep = MilterAction | ((data: string, count: number) => MilterAction);

export interface MilterScript {
  /** What it answers to the offer: version, actions and protocol steps; by default all that is offered. */
  readonly options?: {
    readonly version?: number;
    readonly actions?: number;
    readonly steps?: number;
    /** Lists of macros by their stage. */
    readonly macros?: Readonly<Record<number, string>>;
  };
  /** By the letter of an event: what it does then. */
  readonly on?: Readonly<Record<string, MilterStep>>;
  /** 1: nobody listens there. */
  readonly port?: number;
  readonly path?: string;
}

export interface MilterPeer {
  readonly port: number;
  /** Packets of each connection: letter, blank, data with `|` for NUL. */
  readonly sessions: readonly (readonly string[])[];
  /** Waits until no client is connected, and forgets the sessions so far. */
  takeSessions(): Promise<string[][]>;
  close(): void;
}

/** The protocol's numbers that replies carry. */
export const int32 = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString('latin1');
};

/** Replies to end of message that change it. */
export const edit = {
  addHeader: (name: string, value: string) => `h${name}\0${value}\0`,
  insertHeader: (index: number, name: string, value: string) =>
    `i${int32(index)}${name}\0${value}\0`,
  changeHeader: (index: number, name: string, value: string) =>
    `m${int32(index)}${name}\0${value}\0`,
  changeSender: (address: string, parameters?: string) =>
    `e${address}\0${parameters === undefined ? '' : `${parameters}\0`}`,
  addRecipient: (address: string) => `+${address}\0`,
  addRecipientWith: (address: string, parameters: string) => `2${address}\0${parameters}\0`,
  deleteRecipient: (address: string) => `-${address}\0`,
  replaceBody: (text: string) => `b${text}`,
  quarantine: (reason: string) => `q${reason}\0`,
};

/** Events that nobody waits for an answer to. */
const UNANSWERED = 'DAQK';

/** Starts the peer; it ends with the test. */
export async function startMilterPeer(
  t: TestContext,
  script: MilterScript = {},
): Promise<MilterPeer> {
  let sessions: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const packets: string[] = [];
    sessions.push(packets);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    converse(socket, script, packets);
  });
  if (script.port === 1) {
    return { port: 1, sessions, takeSessions: async () => [], close: () => {} };
  }
  if (script.path !== undefined) server.listen(script.path);
  else server.listen(script.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  atEnd(t, close);
  return {
    port: script.path === undefined ? (server.address() as AddressInfo).port : 0,
    get sessions() {
      return sessions;
    },
    async takeSessions() {
      await eventually('the end of all sessions with the milter', () => sockets.size === 0);
      const taken = sessions;
      sessions = [];
      return taken;
    },
    close,
  };
}

function converse(socket: Socket, script: MilterScript, packets: string[]): void {
  const counts = new Map<string, number>();
  /** Steps that the client agreed to, as numbers of bits. */
  let steps = 0;
  let input = Buffer.alloc(0);
  const send = (reply: string) => {
    const bytes = Buffer.from(`${int32(reply.length)}${reply}`, 'latin1');
    socket.write(bytes);
  };
  const take = (packet: Buffer) => {
    const letter = packet.toString('latin1', 0, 1);
    const data = packet.toString('latin1', 1);
    packets.push(describe(letter, packet.subarray(1)));
    const count = (counts.get(letter) ?? 0) + 1;
    counts.set(letter, count);
    const step = script.on?.[letter];
    if (letter === 'O' && step === undefined) {
      steps = negotiate(packet, script, send);
      return;
    }
    if (UNANSWERED.includes(letter) && step === undefined) return;
    if (isSilent(letter, steps)) return;
    const action = typeof step === 'function' ? step(data, count) : (step ?? ['c']);
    if (action === 'drop') socket.destroy();
    else if (action === 'huge') socket.write(Buffer.from(`${int32(0x7fff_fff0)}h`, 'latin1'));
    else if (action !== 'silent') for (const reply of action) send(reply);
  };
  socket.on('data', (chunk) => {
    input = Buffer.concat([input, chunk]);
    while (input.length >= 4 && input.length >= 4 + input.readUInt32BE()) {
      const end = 4 + input.readUInt32BE();
      take(input.subarray(4, end));
      input = input.subarray(end);
    }
  });
}

function negotiate(packet: Buffer, script: MilterScript, send: (reply: string) => void): number {
  const offered = [1, 5, 9].map((at) => packet.readUInt32BE(at)) as [number, number, number];
  const { version, actions, steps, macros = {} } = script.options ?? {};
  const numbers = [version ?? offered[0], actions ?? offered[1] & 0xff, steps ?? 0];
  const lists = Object.entries(macros).map(([stage, names]) => `${int32(Number(stage))}${names}\0`);
  send(`O${numbers.map(int32).join('')}${lists.join('')}`);
  return numbers[2] as number;
}

/** Protocol steps by which a milter says that it will not answer. */
const NO_REPLY: Readonly<Record<string, number>> = {
  ...{ L: 7, C: 12, H: 13, M: 14, R: 15, T: 16, U: 17, N: 18, B: 19 },
};

function isSilent(letter: string, steps: number): boolean {
  const bit = NO_REPLY[letter];
  return bit !== undefined && (steps & (1 << bit)) !== 0;
}

/** Long bodies are shown by their length. */
const SHOWN_MAX = 400;

function describe(letter: string, data: Buffer): string {
  if (letter === 'O') {
    const numbers = [0, 4, 8].map((at) => data.readUInt32BE(at).toString(16));
    return `O ${numbers.join(' ')}${data.toString('latin1', 12)}`;
  }
  if (letter === 'C') {
    const text = data.toString('latin1');
    const at = text.indexOf('\0');
    const family = text[at + 1] ?? '';
    if (family === 'U') return `C ${text.slice(0, at)} U`;
    const address = text.slice(at + 4).replace(/\0$/, '');
    return `C ${text.slice(0, at)} ${family} ${data.readUInt16BE(at + 2)} ${address}`;
  }
  const text =
    data.length > SHOWN_MAX
      ? `${data.length} bytes, ${data.toString('latin1', 0, 20)}...${data.toString('latin1', data.length - 20)}`
      : data.toString('latin1');
  return `${letter} ${text.replaceAll('\0', '|')}`;
}
