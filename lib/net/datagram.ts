import { createSocket, type Socket } from 'node:dgram';

/** Sends datagrams nobody waits for: if one can't be sent, `failed` hears of it. */
export class DatagramSender {
  readonly #failed: (error: Error) => void;
  #socket: Socket | undefined;

  constructor(failed: (error: Error) => void) {
    this.#failed = failed;
  }

  send(bytes: Buffer, port: number, address: string): void {
    this.#opened().send(bytes, port, address, (error) => {
      if (error !== null) this.#failed(error);
    });
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Opened by the first who has something to send; no reason for the process to stay. */
  #opened(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = createSocket('udp4').unref();
    socket.on('error', this.#failed);
    this.#socket = socket;
    return socket;
  }
}
