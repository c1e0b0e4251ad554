import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, type Timer } from '../clock/clock.ts';
import { LightSocket } from '../net/light-socket.ts';
import { type PollHandle, watch } from '../os/native.ts';
import { acceptClient, endpointOf, type InetEndpoint, sendAtOnceFrom } from '../os/stream.ts';
import type { Listeners } from './inherited-listeners.ts';

/** When the system has no descriptor for another client, some may leave until then. */
const RETRY_MS = 1000;
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** The TCP sockets that master handed down, for clients that need none of Node's sockets. */
export class LightListeners implements Listeners {
  #listeners: readonly { readonly fd: number; readonly local: InetEndpoint | undefined }[];
  readonly #onConnection: (socket: Socket) => void;
  readonly #onTrouble: (error: unknown) => void;
  #handles: PollHandle[] = [];
  #retry: Timer | undefined;

  constructor(
    fds: readonly number[],
    onConnection: (socket: Socket) => void,
    onTrouble: (error: unknown) => void,
  ) {
    this.#listeners = fds.map((fd) => {
      sendAtOnceFrom(fd);
      const local = endpointOf(fd);
      return { fd, local: ANY.has(local.address) ? undefined : local };
    });
    this.#onConnection = onConnection;
    this.#onTrouble = onTrouble;
  }

  get isListening(): boolean {
    return this.#handles.length > 0;
  }

  listen(): void {
    if (this.isListening) return;
    this.#retry?.stop();
    this.#handles = this.#listeners.map(({ fd, local }) =>
      watch(fd, () => this.#acceptAll(fd, local)),
    );
  }

  pause(): void {
    const handles = this.#handles;
    this.#handles = [];
    this.#retry?.stop();
    for (const handle of handles) handle.close();
  }

  end(): void {
    this.pause();
    for (const { fd } of this.#listeners) closeSync(fd);
    this.#listeners = [];
  }

  /** Takes who has come; whoever serves them may say that it is enough. */
  #acceptAll(fd: number, local: InetEndpoint | undefined): void {
    try {
      while (this.isListening) {
        const client = acceptClient(fd);
        if (client === undefined) return;
        const socket = new LightSocket(client.fd, client.remote, local);
        this.#onConnection(socket as unknown as Socket);
      }
    } catch (error) {
      this.pause();
      this.#retry = after(RETRY_MS, () => this.listen());
      this.#onTrouble(error);
    }
  }
}
