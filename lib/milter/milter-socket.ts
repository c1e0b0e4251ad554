/**
 * The connection to a milter. It reads only while somebody waits for a reply: another process may
 * hold the same connection, and what is read here would be lost to it.
 */
import { isIP, Socket, type SocketConstructorOpts } from 'node:net';
import { after, type Timer } from '../clock/clock.ts';
import type { Resolver } from '../dns/resolver.ts';
import { connectTo, type HostAddress } from '../net/connect.ts';
import { describeTrouble } from '../net/trouble.ts';
import { descriptorOf } from '../os/descriptors.ts';
import { type Packet, PacketParser } from './packet.ts';
import type { MilterEndpoint } from './settings.ts';

const READ_BYTES = 64 * 1024;

/** The milter can't be reached, or is gone: the words that the log has for it. */
export class MilterLost extends Error {
  override readonly name = 'MilterLost';
}

/** What Postfix's library says of a connection that ended. */
const ENDED = 'Application error';
const TIMED_OUT = 'Connection timed out';

export class MilterSocket {
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  #trouble: string | undefined;

  private constructor(socket: Socket, inbox: Inbox) {
    this.#socket = socket;
    this.#inbox = inbox;
    socket.pause();
    socket.on('error', (error) => this.#fail(describeTrouble(error)));
    socket.on('end', () => this.#fail(ENDED));
    socket.on('close', () => this.#fail(ENDED));
    socket.on('drain', () => inbox.wake());
  }

  /** Connects. @throws {MilterLost} */
  static async connect(
    endpoint: MilterEndpoint,
    limitMs: number,
    resolver: Resolver | undefined,
  ): Promise<MilterSocket> {
    let trouble = 'Cannot assign requested address';
    for (const host of await hostsOf(endpoint, resolver)) {
      const inbox = new Inbox();
      try {
        const socket = await connectTo(host, { connectMs: limitMs, onRead: inbox });
        return new MilterSocket(socket, inbox);
      } catch (error) {
        trouble = describeTrouble(error);
      }
    }
    throw new MilterLost(trouble);
  }

  /** Takes a connection over that another process has opened. It is ours to close. */
  static adopt(fd: number): MilterSocket {
    const inbox = new Inbox();
    return new MilterSocket(new Socket(adopting(fd, inbox)), inbox);
  }

  /** To be handed to another process. */
  get fd(): number {
    return descriptorOf(this.#socket);
  }

  get isOpen(): boolean {
    return this.#trouble === undefined && !this.#socket.destroyed;
  }

  /** Sends packets; waits only when the milter is slow to take them. @throws {MilterLost} */
  async send(bytes: Buffer, limitMs: number): Promise<void> {
    if (!this.isOpen || this.#socket.write(bytes)) return;
    await this.#until(() => !this.#socket.writableNeedDrain, limitMs);
  }

  /**
   * Waits for the next packet.
   *
   * @throws {MilterLost} when it does not come in time, or the connection ends
   * @throws {PacketError} when it is none
   */
  async receive(limitMs: number): Promise<Packet> {
    for (;;) {
      const packet = this.#inbox.parser.next();
      if (packet !== undefined) return packet;
      this.#socket.resume();
      try {
        await this.#until(() => this.#inbox.parser.isReady, limitMs);
      } finally {
        this.#socket.pause();
      }
    }
  }

  /** Closes it for us alone: it may go on in another process. */
  release(): void {
    this.#socket.destroy();
  }

  /** Ends it, behind what was sent, for whoever else holds it, too. */
  async end(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const finished = new Promise<void>((resolve) => {
      socket.once('finish', resolve);
      socket.once('close', () => resolve());
    });
    socket.destroySoon();
    await finished;
  }

  #fail(trouble: string): void {
    this.#trouble ??= trouble;
    this.#inbox.wake();
  }

  async #until(isDone: () => boolean, limitMs: number): Promise<void> {
    let timer: Timer | undefined;
    let expired = false;
    try {
      while (!isDone()) {
        if (this.#trouble !== undefined) throw new MilterLost(this.#trouble);
        if (expired) throw new MilterLost(TIMED_OUT);
        await new Promise<void>((resolve) => {
          this.#inbox.wake = resolve;
          timer ??= after(limitMs, () => {
            expired = true;
            this.#inbox.wake();
          });
        });
      }
    } finally {
      this.#inbox.wake = nobody;
      timer?.stop();
    }
  }
}

/** Node takes `onread` here, too; only its types don't know. */
function adopting(fd: number, onread: Inbox): SocketConstructorOpts {
  const options = { fd, onread };
  return options;
}

/** One for all: what is read into it is copied before anybody else reads. */
const BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

const nobody = () => {};

/** What has come, and who waits for it. */
class Inbox {
  readonly parser = new PacketParser();
  readonly buffer: Buffer = BUFFER;
  wake: () => void = nobody;

  /** Node calls it with what it has read. @returns whether to go on reading */
  readonly callback = (count: number, buffer: Uint8Array): boolean => {
    this.parser.push(Buffer.from(buffer.subarray(0, count)));
    const { isReady } = this.parser;
    if (isReady) this.wake();
    return !isReady;
  };
}

async function hostsOf(
  endpoint: MilterEndpoint,
  resolver: Resolver | undefined,
): Promise<HostAddress[]> {
  if ('path' in endpoint) return [endpoint];
  const { host, port } = endpoint;
  if (isIP(host) !== 0) return [{ address: host, port }];
  const { records = [] } = (await resolver?.lookupNative(host)) ?? {};
  return records.map(({ address }) => ({ address, port }));
}
