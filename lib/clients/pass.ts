/** Hands connections of clients over to another server: a service of type `pass`. ipc.md 3.18. */
import { connectPatiently, IMPATIENT } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import type { Endpoints } from '../net/proxy-header.ts';
import { descriptorOf } from '../os/descriptors.ts';
import { sendDescriptor } from '../os/sockets.ts';

/** A client that has been handed over, and that the server may not have taken yet. */
export class PassedClient {
  readonly #connection: IpcConnection;

  private constructor(connection: IpcConnection) {
    this.#connection = connection;
  }

  /**
   * Sends the descriptor of a connection and what is known of it. The caller still has the connection.
   *
   * @throws {IpcError} when the service can't be reached; {OsError} when it can't be told
   */
  static async send(
    socketPath: string,
    fd: () => number,
    endpoints: Endpoints,
    timeoutMs: number,
  ): Promise<PassedClient> {
    const connection = await connectPatiently(socketPath, timeoutMs, { patience: IMPATIENT });
    try {
      sendDescriptor(descriptorOf(connection.socket), fd());
      await connection.send([
        ['client_address', endpoints.clientAddress],
        ['client_port', endpoints.clientPort],
        ['server_address', endpoints.serverAddress],
        ['server_port', endpoints.serverPort],
      ]);
      return new PassedClient(connection);
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  /** Waits until the server has taken it. @throws {IpcError} when that takes too long */
  async taken(): Promise<void> {
    try {
      await this.#connection.awaitEnd();
    } finally {
      this.#connection.abort();
    }
  }
}
