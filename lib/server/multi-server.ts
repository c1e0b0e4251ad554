import type { Socket } from 'node:net';
import { after } from '../clock/clock.ts';
import type { ParameterName } from '../config/parameters.ts';
import { announcement, type Form, formatAttributes } from '../ipc/attributes.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { FatalError } from '../log/fatal.ts';
import { type Daemon, runDaemon, type Skeleton } from './daemon.ts';
import { die, reportFailure } from './failure.ts';
import { InheritedListeners, listenDescriptors } from './inherited-listeners.ts';
import type { LeaveReason } from './lifetime.ts';
import type { Service, ServiceContext } from './service.ts';

/** A service whose clients stay connected, and ask now and then. */
export interface MultiService<P extends ParameterName, S> extends Service<P, S> {
  /** What is announced to each client (lib/ipc/protocols.ts); the skeleton does it. */
  readonly protocol?: string;
  readonly form?: Form;
  /**
   * Serves one client: receives requests and answers them, until `receive` returns `undefined`.
   * When it returns or throws, the connection is closed.
   */
  serve(connection: IpcConnection, context: ServiceContext<P>, state: S): Promise<void>;
}

/** For a client that connects while we leave to ask what it came for. */
const NEWCOMER_MS = 10_000;

/** Runs a service that serves any number of clients at once. */
export function runMultiServer<P extends ParameterName, S>(service: MultiService<P, S>): void {
  runDaemon(service, new MultiServer(service));
}

class MultiServer<P extends ParameterName, S> implements Skeleton<P, S> {
  readonly #service: MultiService<P, S>;
  readonly #announcement: Buffer | undefined;
  readonly #connections = new Set<IpcConnection>();
  readonly #busy = new Set<IpcConnection>();
  /** They have had an answer. */
  readonly #served = new WeakSet<IpcConnection>();
  #daemon: Daemon<P, S> | undefined;
  #listeners: InheritedListeners | undefined;
  #timeoutMs = 0;
  #provenUseful = false;
  #leavesAtOnce = false;

  constructor(service: MultiService<P, S>) {
    this.#service = service;
    if (service.protocol === undefined) return;
    this.#announcement =
      service.form === undefined
        ? announcement(service.protocol)
        : formatAttributes([['protocol', service.protocol]], { form: service.form });
  }

  run(daemon: Daemon<P, S>): void {
    const { context, options } = daemon;
    this.#daemon = daemon;
    this.#timeoutMs = context.configuration.get('ipc_timeout') * 1000;
    if (options.standalone) throw new FatalError('this service does not run stand-alone');
    this.#listeners = new InheritedListeners(
      listenDescriptors(options.sockets),
      {},
      (socket) => this.#accept(socket),
      (error) => die(context.log, error),
    );
    this.#listeners.listen();
  }

  /**
   * When master is gone, or what we know is out of date, those who ask nothing just now have to go
   * to another process: they take the end of a connection that has served them for no failure. Who has
   * only just come is about to ask, and is answered first.
   */
  pause(why: LeaveReason): void {
    this.#listeners?.end();
    if (why !== 'master' && why !== 'tables') return;
    this.#leavesAtOnce = true;
    this.#closeIdle((connection) => this.#served.has(connection));
    after(NEWCOMER_MS, () => this.#closeIdle(() => true)).unref();
  }

  #closeIdle(which: (connection: IpcConnection) => boolean): void {
    for (const connection of this.#connections) {
      if (!this.#busy.has(connection) && which(connection)) connection.close();
    }
  }

  #accept(socket: Socket): void {
    const { context, lifetime } = this.#daemon as Daemon<P, S>;
    const connection: IpcConnection = new IpcConnection(socket, this.#timeoutMs, {
      peer: `${context.serviceName} socket`,
      form: this.#service.form,
      onRequest: () => this.#busy.add(connection),
      onIdle: () => this.#becomeIdle(connection),
    });
    this.#connections.add(connection);
    lifetime.begin();
    this.#serve(connection).catch((error) => die(context.log, error));
  }

  async #serve(connection: IpcConnection): Promise<void> {
    const { context, state, lifetime } = this.#daemon as Daemon<P, S>;
    try {
      if (this.#announcement !== undefined) await connection.send(this.#announcement);
      await this.#service.serve(connection, context, state);
    } catch (error) {
      reportFailure(context.log, error);
    } finally {
      connection.close();
      this.#connections.delete(connection);
      this.#becomeIdle(connection);
      lifetime.end();
    }
  }

  /**
   * Postfix's servers report *taken* and *available* around each request. We take requests at any
   * time, so that only the first matters: master then knows that the program works at all, and
   * that a later crash is no reason to throttle the service.
   */
  #becomeIdle(connection: IpcConnection): void {
    const { slots } = this.#daemon as Daemon<P, S>;
    if (!this.#busy.delete(connection)) return;
    this.#served.add(connection);
    if (this.#leavesAtOnce) connection.close();
    if (this.#provenUseful) return;
    this.#provenUseful = true;
    slots.proveUseful();
  }
}
