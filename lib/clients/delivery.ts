import { DETAIL_FIELDS } from '../delivery/detail-group.ts';
import { type DeliveryRequest, formatRequest } from '../delivery/request.ts';
import type { DsnDetail } from '../dsn/detail.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { int } from '../ipc/fields.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';

/** What an agent answers. ipc.md 3.3. */
export interface DeliveryReply {
  /** With a status when the whole destination is in trouble; else empty. */
  readonly detail: DsnDetail;
  /** 0: every recipient was delivered or bounced; else some stay in the queue. */
  readonly status: number;
}

const REPLY = { ...DETAIL_FIELDS, result: int.named('status') };

/** One connection to a delivery agent, as qmgr has it. One delivery at a time. */
export class AgentConnection {
  readonly #connection: IpcConnection;

  private constructor(connection: IpcConnection) {
    this.#connection = connection;
  }

  /**
   * Connects to `private/TRANSPORT` and waits until an agent is free.
   *
   * @throws {IpcError} when there is none to be had
   */
  static async connect(path: string, timeoutMs: number): Promise<AgentConnection> {
    return AgentConnection.over(await IpcConnection.connect(path, timeoutMs));
  }

  /** The same on a connection that is there: closed when the agent does not announce itself. */
  static async over(connection: IpcConnection): Promise<AgentConnection> {
    try {
      await expectProtocol(connection, PROTOCOLS.delivery);
      return new AgentConnection(connection);
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  /** After a delivery: the agent waits for another request here. */
  get reusable(): boolean {
    return this.#connection.reusable && !this.#connection.isStale;
  }

  /**
   * @returns `undefined` when the agent closed without a word. On a connection that was used
   *   before it may just have left: send the request again on a new one
   * @throws {IpcError} when it answers nonsense, or takes too long
   */
  async deliver(request: DeliveryRequest): Promise<DeliveryReply | undefined> {
    const connection = this.#connection;
    connection.reusable = false;
    await connection.send(formatRequest(request));
    const reply = await connection.receive(REPLY);
    if (reply === undefined) return undefined;
    connection.takeKeep();
    const { result, ...detail } = reply;
    return { detail, status: result };
  }

  close(): void {
    this.#connection.close();
  }
}
