import type { Socket } from 'node:net';
import { after } from '../clock/clock.ts';
import type { ParameterName } from '../config/parameters.ts';
import { type Daemon, runDaemon, type Skeleton } from './daemon.ts';
import { die, reportFailure } from './failure.ts';
import { InheritedListeners, type Listeners, listenDescriptors } from './inherited-listeners.ts';
import { LightListeners } from './light-listeners.ts';
import { type PassedConnection, receivePassedConnection } from './passed-connection.ts';
import type { Service, ServiceContext } from './service.ts';
import { standardInputAndOutput } from './standard-socket.ts';

/** A service that has each client to itself from accept to close. */
export interface ConnectionService<P extends ParameterName, S> extends Service<P, S> {
  /**
   * Serves one client. When it returns, what it has written is sent and the socket closed.
   *
   * @param passed what postscreen knows of the client, when it handed the connection over
   */
  serve(
    socket: Socket,
    context: ServiceContext<P>,
    state: S,
    passed?: PassedConnection,
  ): Promise<void>;
  /**
   * Whether clients that connect by TCP are given to it as a LightSocket, which is as much of a socket
   * as text needs; not unless it says so.
   */
  takesLightSockets?(context: ServiceContext<P>): boolean;
}

/** A client that does not take its last reply must not hold a slot for long. */
const CLOSE_MS = 10_000;

/** Runs a service that serves up to `context.slots` clients at once. */
export function runConnectionServer<P extends ParameterName, S>(
  service: ConnectionService<P, S>,
): void {
  runDaemon(service, new ConnectionServer(service));
}

class ConnectionServer<P extends ParameterName, S> implements Skeleton<P, S> {
  readonly #service: ConnectionService<P, S>;
  /** Accepted beyond our slots: a kernel may give us two at once. They wait, nobody is dropped. */
  readonly #surplus: Socket[] = [];
  #daemon: Daemon<P, S> | undefined;
  #listeners: Listeners | undefined;

  constructor(service: ConnectionService<P, S>) {
    this.#service = service;
  }

  run(daemon: Daemon<P, S>): void {
    this.#daemon = daemon;
    const { options, context } = daemon;
    if (options.standalone) {
      this.#accept(standardInputAndOutput());
      return;
    }
    const descriptors = listenDescriptors(options.sockets);
    const accept = (socket: Socket) => this.#accept(socket);
    this.#listeners =
      options.transportType === 'inet' && this.#service.takesLightSockets?.(context) === true
        ? new LightListeners(descriptors, accept, (error) => reportFailure(context.log, error))
        : new InheritedListeners(
            descriptors,
            { paused: options.transportType === 'pass' },
            accept,
            (error) => die(context.log, error),
          );
    this.#listeners.listen();
  }

  pause(): void {
    this.#listeners?.end();
  }

  #accept(socket: Socket): void {
    const { slots, lifetime, context } = this.#daemon as Daemon<P, S>;
    // Errors show as the end of the input; without a listener they would end the process.
    socket.on('error', () => {});
    lifetime.begin();
    if (!context.standalone) context.tables.look();
    if (slots.free === 0) {
      this.#surplus.push(socket);
      return;
    }
    slots.take();
    if (slots.free === 0) this.#listeners?.pause();
    this.#serveAll(socket).catch((error) => die(this.#log, error));
  }

  /** Serves a client, and then those who had to wait. */
  async #serveAll(first: Socket): Promise<void> {
    const { slots, lifetime } = this.#daemon as Daemon<P, S>;
    for (let socket: Socket | undefined = first; socket !== undefined; ) {
      await this.#serveOne(socket);
      socket = this.#surplus.shift();
      if (socket !== undefined) lifetime.end();
    }
    slots.release();
    lifetime.end();
    // Stand-alone there is only the one client.
    if (this.#listeners === undefined) lifetime.leave('used');
    else if (!lifetime.isLeaving) this.#listeners.listen();
  }

  async #serveOne(socket: Socket): Promise<void> {
    const { context, state, options } = this.#daemon as Daemon<P, S>;
    let client = socket;
    try {
      if (options.transportType === 'pass') {
        const passed = await receivePassedConnection(socket);
        if (passed === undefined) return;
        client = passed.socket;
        client.on('error', () => {});
        // Whoever handed it over waits for this, to see that it was taken.
        socket.destroy();
        await this.#service.serve(client, context, state, passed);
      } else {
        await this.#service.serve(client, context, state);
      }
    } catch (error) {
      reportFailure(context.log, error);
    } finally {
      socket.destroySoon();
      await closeWithin(client, CLOSE_MS);
    }
  }

  get #log() {
    return (this.#daemon as Daemon<P, S>).context.log;
  }
}

/** Sends what is left to send, and closes. */
async function closeWithin(socket: Socket, limitMs: number): Promise<void> {
  if (socket.destroyed) return;
  const limit = after(limitMs, () => socket.destroy());
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.destroySoon();
  });
  limit.stop();
}
