import type { Socket } from 'node:net';
import type { ParameterName } from '../config/parameters.ts';
import { FatalError } from '../log/fatal.ts';
import { type Daemon, runDaemon, type Skeleton } from './daemon.ts';
import { die, reportFailure } from './failure.ts';
import { InheritedListeners, listenDescriptors } from './inherited-listeners.ts';
import type { Service, ServiceContext } from './service.ts';

/** A service that takes every client at once, in one process. */
export interface EventService<P extends ParameterName, S> extends Service<P, S> {
  /**
   * Serves one client. Nothing has been read from its socket, and nothing is before somebody resumes
   * it; when this returns, it is closed.
   */
  serve(socket: Socket, context: ServiceContext<P>, state: S): Promise<void>;
}

/** Runs a service that serves any number of clients at once. */
export function runEventServer<P extends ParameterName, S>(service: EventService<P, S>): void {
  runDaemon(service, new EventServer(service));
}

class EventServer<P extends ParameterName, S> implements Skeleton<P, S> {
  readonly #service: EventService<P, S>;
  #daemon: Daemon<P, S> | undefined;
  #listeners: InheritedListeners | undefined;
  #provenUseful = false;

  constructor(service: EventService<P, S>) {
    this.#service = service;
  }

  run(daemon: Daemon<P, S>): void {
    const { context, options } = daemon;
    this.#daemon = daemon;
    if (options.standalone) throw new FatalError('this service does not run stand-alone');
    this.#listeners = new InheritedListeners(
      listenDescriptors(options.sockets),
      { paused: true },
      (socket) => this.#accept(socket),
      (error) => die(context.log, error),
    );
    this.#listeners.listen();
  }

  pause(): void {
    this.#listeners?.end();
  }

  #accept(socket: Socket): void {
    const { context, lifetime, slots } = this.#daemon as Daemon<P, S>;
    socket.on('error', () => {});
    lifetime.begin();
    // From its first client master knows that the program works.
    if (!this.#provenUseful) slots.proveUseful();
    this.#provenUseful = true;
    context.tables.look();
    this.#serve(socket).catch((error) => die(context.log, error));
  }

  async #serve(socket: Socket): Promise<void> {
    const { context, state, lifetime } = this.#daemon as Daemon<P, S>;
    try {
      await this.#service.serve(socket, context, state);
    } catch (error) {
      reportFailure(context.log, error);
    } finally {
      socket.destroy();
      lifetime.end();
    }
  }
}
