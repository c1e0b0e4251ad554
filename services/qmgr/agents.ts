import type { AgentConnection } from '../../lib/clients/delivery.ts';
import { after, monotonic, type Timer } from '../../lib/clock/clock.ts';

/** Connections that no agent has accepted yet. More would only wait in the socket's backlog. */
const PENDING_MAX = 2;
/** A kept connection that is not used occupies an agent: ipc_idle. */
const IDLE_MS = 5000;

/**
 * Connections to the agents of one transport. How many there are at once is master's business, and
 * only master knows maxproc: when all its processes are busy, a connection waits until one is free,
 * and which delivery it gets is decided then.
 */
export class Agents {
  readonly #connect: () => Promise<AgentConnection>;
  readonly #ready: (connection: AgentConnection) => void;
  readonly #failed: (error: Error) => void;
  #pending = 0;
  /** The one used last is used first. */
  #kept: { readonly connection: AgentConnection; readonly since: number }[] = [];
  #timer: Timer | undefined;

  constructor(
    connect: () => Promise<AgentConnection>,
    ready: (connection: AgentConnection) => void,
    failed: (error: Error) => void,
  ) {
    this.#connect = connect;
    this.#ready = ready;
    this.#failed = failed;
  }

  /** A connection that is kept, if there is one. */
  take(): AgentConnection | undefined {
    for (let kept = this.#kept.pop(); kept !== undefined; kept = this.#kept.pop()) {
      if (kept.connection.reusable) return kept.connection;
      kept.connection.close();
    }
    return undefined;
  }

  /** Keeps a connection whose agent waits for more. */
  keep(connection: AgentConnection): void {
    this.#kept.push({ connection, since: monotonic() });
    this.#timer ??= after(IDLE_MS, this.#expire).unref();
  }

  /** Asks for agents, up to `count` at once. */
  want(count: number): void {
    while (this.#pending < PENDING_MAX && this.#pending < count) {
      this.#pending += 1;
      this.#connect().then(this.#connected, this.#refused);
    }
  }

  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    for (const { connection } of this.#kept.splice(0)) connection.close();
  }

  readonly #connected = (connection: AgentConnection): void => {
    this.#pending -= 1;
    this.#ready(connection);
  };

  readonly #refused = (error: Error): void => {
    this.#pending -= 1;
    this.#failed(error);
  };

  readonly #expire = (): void => {
    this.#timer = undefined;
    const oldest = monotonic() - IDLE_MS;
    const fresh = this.#kept.filter(({ since }) => since > oldest);
    for (const kept of this.#kept) if (kept.since <= oldest) kept.connection.close();
    this.#kept = fresh;
    const first = fresh[0];
    if (first === undefined) return;
    this.#timer = after(Math.max(1, first.since - oldest), this.#expire).unref();
  };
}
