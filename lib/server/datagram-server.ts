import type { ParameterName } from '../config/parameters.ts';
import { FatalError } from '../log/fatal.ts';
import { Poller } from '../os/poll.ts';
import { receiveDatagram } from '../os/sockets.ts';
import { type Daemon, runDaemon, type Skeleton } from './daemon.ts';
import { die } from './failure.ts';
import { FIRST_LISTEN_FD } from './inherited-listeners.ts';
import type { Service, ServiceContext } from './service.ts';

/** A service that is sent single datagrams, and answers none. */
export interface DatagramService<P extends ParameterName, S> extends Service<P, S> {
  receive(bytes: Buffer, context: ServiceContext<P>, state: S): Promise<void> | void;
}

const DATAGRAM_BYTES_MAX = 4096;
/** So many in one go; then everything else gets its turn. */
const BATCH = 100;

/** Runs a service that receives datagrams. */
export function runDatagramServer<P extends ParameterName, S>(
  service: DatagramService<P, S>,
): void {
  runDaemon(service, new DatagramServer(service));
}

class DatagramServer<P extends ParameterName, S> implements Skeleton<P, S> {
  readonly #service: DatagramService<P, S>;
  readonly #poller = new Poller();
  #leaving = false;

  constructor(service: DatagramService<P, S>) {
    this.#service = service;
  }

  run(daemon: Daemon<P, S>): void {
    if (daemon.options.standalone) throw new FatalError('this service does not run stand-alone');
    this.#receiveAll(daemon).catch((error) => die(daemon.context.log, error));
  }

  pause(): void {
    this.#leaving = true;
    this.#poller.wake();
  }

  async #receiveAll(daemon: Daemon<P, S>): Promise<void> {
    const { slots, lifetime } = daemon;
    while (!this.#leaving) {
      await this.#poller.poll([FIRST_LISTEN_FD], -1);
      if (this.#leaving) return;
      lifetime.begin();
      slots.take();
      await this.#receiveBatch(daemon);
      slots.release();
      lifetime.end();
    }
  }

  async #receiveBatch({ context, state }: Daemon<P, S>): Promise<void> {
    for (let count = 0; count < BATCH; count += 1) {
      const bytes = receiveDatagram(FIRST_LISTEN_FD, DATAGRAM_BYTES_MAX);
      if (bytes === undefined) return;
      await this.#service.receive(bytes, context, state);
    }
  }
}
