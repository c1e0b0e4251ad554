/**
 * Sockets for the load of a benchmark: epoll(7) in one thread that does nothing else. A connection costs
 * a fraction of what Node's own takes, so that most of the machine is left to what is measured.
 */
import { closeSync } from 'node:fs';
import { declare, lastError, nameOf } from '../lib/os/native.ts';
import { AF_INET, inetAddress } from '../lib/os/socket-address.ts';

const socketCall = declare('int socket(int family, int type, int protocol)');
const connectCall = declare('int connect(int fd, void *address, uint32_t length)');
const bindCall = declare('int bind(int fd, void *address, uint32_t length)');
const listenCall = declare('int listen(int fd, int backlog)');
const accept4 = declare('int accept4(int fd, void *address, void *length, int flags)');
const setsockopt = declare(
  'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
);
const send = declare('long send(int fd, void *bytes, size_t count, int flags)');
const recv = declare('long recv(int fd, void *bytes, size_t count, int flags)');
const epollCreate = declare('int epoll_create1(int flags)');
const epollControl = declare('int epoll_ctl(int epoll, int operation, int fd, void *event)');
const epollWait = declare('int epoll_wait(int epoll, void *events, int max, int timeout)');

const SOCK_STREAM = 1;
const NON_BLOCKING = 0o4000 | 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const MSG_NOSIGNAL = 0x4000;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** struct epoll_event is packed on x64 only. */
const EVENT = process.arch === 'x64' ? { bytes: 12, data: 4 } : { bytes: 16, data: 8 };
const EVENTS_MAX = 128;
const BACKLOG = 512;
const ON = Buffer.from([1, 0, 0, 0]);

/** One end of a connection; what is sent is small enough for the system to take it at once. */
export interface Link {
  send(bytes: Buffer): void;
  close(): void;
}

/** What becomes of a connection. */
export interface Peer {
  /** @param text as latin1 */
  onText(link: Link, text: string): void;
  /** The other side has closed; the descriptor is gone already. */
  onEnd(): void;
}

export class LightSockets {
  readonly #epoll = checked(epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
  readonly #ready = new Map<number, () => void>();
  readonly #events = Buffer.alloc(EVENTS_MAX * EVENT.bytes);
  readonly #event = Buffer.alloc(EVENT.bytes);
  readonly #input = Buffer.alloc(65_536);

  /** Connects to a port of 127.0.0.1. */
  connect(port: number, peer: Peer): void {
    const fd = socketOf();
    const { bytes } = inetAddress('127.0.0.1', port);
    // It is told that it waits; what is wrong shows at the first read.
    connectCall(fd, bytes, bytes.length);
    this.#attach(fd, peer);
  }

  /** Serves a port of 127.0.0.1. */
  listen(port: number, newPeer: () => Peer): void {
    const fd = socketOf();
    const { bytes } = inetAddress('127.0.0.1', port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ON, ON.length);
    checked(bindCall(fd, bytes, bytes.length), `bind to port ${port}`);
    checked(listenCall(fd, BACKLOG), 'listen');
    this.#watch(fd, () => {
      const accepted = accept4(fd, null, null, NON_BLOCKING);
      if (accepted >= 0) this.#attach(accepted, newPeer());
    });
  }

  /**
   * Serves all connections until `isDone`, and does nothing else meanwhile.
   *
   * @param limitMs -1 for none
   * @throws {Error} when nothing happens for so long
   */
  run(isDone: () => boolean, limitMs: number): void {
    while (!isDone()) {
      const count = epollWait(this.#epoll, this.#events, EVENTS_MAX, limitMs);
      if (count === 0) throw new Error(`nothing happened for ${limitMs} ms`);
      for (let at = 0; at < count; at += 1) {
        this.#ready.get(this.#events.readInt32LE(at * EVENT.bytes + EVENT.data))?.();
      }
    }
  }

  close(): void {
    for (const fd of [...this.#ready.keys(), this.#epoll]) closeSync(fd);
    this.#ready.clear();
  }

  #attach(fd: number, peer: Peer): void {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ON, ON.length);
    const close = () => {
      this.#ready.delete(fd);
      closeSync(fd);
    };
    const link: Link = {
      send(bytes) {
        const sent = send(fd, bytes, bytes.length, MSG_NOSIGNAL);
        if (sent !== bytes.length) throw new Error(`send: ${sent} of ${bytes.length} bytes`);
      },
      close,
    };
    this.#watch(fd, () => {
      const count = recv(fd, this.#input, this.#input.length, 0);
      if (count > 0) return peer.onText(link, this.#input.toString('latin1', 0, count));
      if (count < 0 && nameOf(lastError()) === 'EAGAIN') return;
      close();
      peer.onEnd();
    });
  }

  #watch(fd: number, onReady: () => void): void {
    this.#ready.set(fd, onReady);
    this.#event.writeUInt32LE(EPOLLIN, 0);
    this.#event.writeInt32LE(fd, EVENT.data);
    checked(epollControl(this.#epoll, EPOLL_CTL_ADD, fd, this.#event), 'epoll_ctl');
  }
}

function socketOf(): number {
  return checked(socketCall(AF_INET, SOCK_STREAM | NON_BLOCKING, 0), 'socket');
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${nameOf(lastError())}`);
  return result;
}
