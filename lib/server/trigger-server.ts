import { Socket } from 'node:net';
import { after, type Timer } from '../clock/clock.ts';
import type { ParameterName } from '../config/parameters.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { KEEP } from '../ipc/keep.ts';
import { FatalError } from '../log/fatal.ts';
import { dup } from '../os/descriptors.ts';
import { type Daemon, runDaemon, type Skeleton } from './daemon.ts';
import { die, reportFailure } from './failure.ts';
import { FIRST_LISTEN_FD, InheritedListeners, listenDescriptors } from './inherited-listeners.ts';
import type { Service, ServiceContext } from './service.ts';

/** A service that is woken up by bytes that get no answer. ipc.md 1.9. */
export interface TriggerService<P extends ParameterName, S> extends Service<P, S> {
  /**
   * Does what the bytes ask for. It is never called again before it has returned; what arrives
   * meanwhile comes together in the next call.
   */
  trigger(bytes: Buffer, context: ServiceContext<P>, state: S): Promise<void> | void;
  /** Whether a client's first bytes begin a request for `serve`, and are no trigger. */
  isRequest?(bytes: Buffer): boolean;
  /** Serves a client that is no trigger; its first bytes are there to be received again. */
  serve?(connection: IpcConnection, context: ServiceContext<P>, state: S): Promise<void>;
}

/** A client that says nothing is not waited for. */
const SILENCE_MS = 10_000;
/** More triggers than this say nothing new. */
const TRIGGER_BYTES_MAX = 1024;
/** What our own clients may send next on a connection that we keep. */
const KEPT_MS = 100_000;
/** The socket may be open to all users: nobody takes all our descriptors. */
const CALLERS_MAX = 500;

/** A client that is connected. */
interface Caller {
  readonly socket: Socket;
  /** It has sent a trigger, and may send another. */
  kept: boolean;
  /** It is no trigger, and others look after it. */
  served?: boolean;
  limit: Timer;
}

/** Runs a service that acts on triggers. */
export function runTriggerServer<P extends ParameterName, S>(service: TriggerService<P, S>): void {
  runDaemon(service, new TriggerServer(service));
}

class TriggerServer<P extends ParameterName, S> implements Skeleton<P, S> {
  readonly #service: TriggerService<P, S>;
  readonly #callers = new Set<Caller>();
  #daemon: Daemon<P, S> | undefined;
  #listeners: InheritedListeners | undefined;
  #pending: Buffer = NOTHING;
  #working = false;
  #again = false;

  constructor(service: TriggerService<P, S>) {
    this.#service = service;
  }

  run(daemon: Daemon<P, S>): void {
    const { context, options } = daemon;
    this.#daemon = daemon;
    if (options.standalone) throw new FatalError('this service does not run stand-alone');
    if (options.transportType === 'fifo') {
      this.#readFifo();
      return;
    }
    this.#listeners = new InheritedListeners(
      listenDescriptors(options.sockets),
      {},
      (socket) => this.#accept(socket),
      (error) => die(context.log, error),
    );
    this.#listeners.listen();
  }

  pause(): void {
    this.#listeners?.end();
    for (const { socket, kept } of this.#callers) if (kept) socket.destroySoon();
  }

  /** Master holds the writing end open, too: it never ends. */
  #readFifo(): void {
    const fifo = new Socket({ fd: dup(FIRST_LISTEN_FD), readable: true, writable: false });
    fifo.on('data', (bytes) => this.#wake(bytes));
    fifo.on('error', (error) => die(this.#context.log, error));
  }

  #accept(socket: Socket): void {
    const { lifetime } = this.#daemon as Daemon<P, S>;
    const client: Caller = { socket, kept: false, limit: limitTo(SILENCE_MS, socket) };
    const onBytes = (bytes: Buffer) => this.#hear(client, bytes, () => socket.off('data', onBytes));
    this.#callers.add(client);
    if (this.#callers.size >= CALLERS_MAX) this.#listeners?.pause();
    lifetime.begin();
    this.#context.tables.look();
    socket.on('error', () => {});
    socket.on('data', onBytes);
    socket.once('end', () => this.#hearEnd(client));
    socket.once('close', () => {
      client.limit.stop();
      this.#callers.delete(client);
      lifetime.end();
      if (!lifetime.isLeaving) this.#listeners?.listen();
    });
  }

  /** A client has said something. @param deafen what it says next is heard by others */
  #hear(client: Caller, bytes: Buffer, deafen: () => void): void {
    const { socket } = client;
    client.limit.stop();
    if (!client.kept && this.#service.isRequest?.(bytes) === true) {
      deafen();
      client.served = true;
      this.#serve(socket, bytes);
      return;
    }
    // Master's wake-up sends its NUL by itself: that is no second trigger.
    if (client.kept && isEmpty(bytes)) return;
    client.kept = true;
    client.limit = limitTo(KEPT_MS, socket);
    this.#wake(bytes);
    // Postfix's clients close at this, or at our close; ours may send the next trigger here.
    if (this.#daemon?.lifetime.isLeaving) socket.destroySoon();
    else socket.write(KEEP);
  }

  /** An end without a byte is a trigger, too, as it always was. */
  #hearEnd({ socket, kept, served }: Caller): void {
    if (served === true) return;
    if (!kept) this.#wake(NOTHING);
    socket.destroySoon();
  }

  #serve(socket: Socket, first: Buffer): void {
    const { context, state } = this.#daemon as Daemon<P, S>;
    const timeoutMs = context.configuration.get('ipc_timeout') * 1000;
    const peer = `${context.serviceName} socket`;
    const connection = new IpcConnection(socket, timeoutMs, { peer });
    connection.unread(first);
    const served = this.#service.serve?.(connection, context, state) ?? Promise.resolve();
    served.catch((error) => reportFailure(context.log, error)).finally(() => connection.close());
  }

  #wake(bytes: Buffer): void {
    const { slots, lifetime, context } = this.#daemon as Daemon<P, S>;
    if (this.#pending.length < TRIGGER_BYTES_MAX) {
      this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, TRIGGER_BYTES_MAX)]);
    }
    if (this.#working) {
      this.#again = true;
      return;
    }
    this.#working = true;
    slots.take();
    lifetime.hold();
    this.#work()
      .catch((error) => die(context.log, error))
      .finally(() => {
        this.#working = false;
        slots.release();
        lifetime.end();
      });
  }

  async #work(): Promise<void> {
    const { context, state } = this.#daemon as Daemon<P, S>;
    do {
      const bytes = this.#pending;
      this.#pending = NOTHING;
      this.#again = false;
      await this.#service.trigger(bytes, context, state);
    } while (this.#again);
  }

  get #context(): ServiceContext<P> {
    return (this.#daemon as Daemon<P, S>).context;
  }
}

const NOTHING = Buffer.alloc(0);

function limitTo(limitMs: number, socket: Socket): Timer {
  return after(limitMs, () => socket.destroy()).unref();
}

function isEmpty(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
