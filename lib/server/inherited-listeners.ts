import { closeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { FatalError } from '../log/fatal.ts';
import { dup } from '../os/descriptors.ts';
import { sendAtOnceFrom } from '../os/stream.ts';

/** Master hands the listening sockets down from here on. */
export const FIRST_LISTEN_FD = 6;

export interface ListenerOptions {
  /** Accepted sockets are not read before somebody resumes them. */
  readonly paused?: boolean;
}

/** Listening sockets that clients are accepted from. */
export interface Listeners {
  readonly isListening: boolean;
  /** Accepts clients from now on. */
  listen(): void;
  /** Accepts no more; from within the handler of a connection, not even the next in the queue. */
  pause(): void;
  /**
   * Gives the sockets up for good. Clients that we still have may keep us for long, and when master
   * has died the next one needs the address.
   */
  end(): void;
}

/**
 * The listening sockets that master handed down. Each time we listen on a copy: closing that
 * stops accepting, while clients go on queueing at the original, for us or another process.
 */
export class InheritedListeners implements Listeners {
  #fds: readonly number[];
  readonly #options: ListenerOptions;
  readonly #onConnection: (socket: Socket) => void;
  readonly #onError: (error: Error) => void;
  #servers: Server[] = [];

  constructor(
    fds: readonly number[],
    options: ListenerOptions,
    onConnection: (socket: Socket) => void,
    onError: (error: Error) => void,
  ) {
    this.#fds = fds;
    for (const fd of fds) sendAtOnceFrom(fd);
    this.#options = options;
    this.#onConnection = onConnection;
    this.#onError = onError;
  }

  get isListening(): boolean {
    return this.#servers.length > 0;
  }

  listen(): void {
    if (this.isListening) return;
    this.#servers = this.#fds.map((fd) => this.#listenOn(fd));
  }

  pause(): void {
    const servers = this.#servers;
    this.#servers = [];
    for (const server of servers) server.close();
  }

  end(): void {
    this.pause();
    for (const fd of this.#fds) closeSync(fd);
    this.#fds = [];
  }

  #listenOn(fd: number): Server {
    const server = createServer(
      // A client may have said all it has to say before we have answered: `nc` does.
      { allowHalfOpen: true, pauseOnConnect: this.#options.paused ?? false },
      this.#onConnection,
    );
    server.on('error', (error) => {
      this.#onError(
        new FatalError(`listen on descriptor ${fd}: ${error.message}`, { cause: error }),
      );
    });
    server.listen({ fd: dup(fd) });
    return server;
  }
}

/** The descriptors of so many sockets. */
export function listenDescriptors(count: number): number[] {
  return Array.from({ length: count }, (_, index) => FIRST_LISTEN_FD + index);
}
