import type { Socket } from 'node:net';
import { type ClientOptions, clientOptions, TIMEOUT_MS } from '../clients/options.ts';
import { after, nowMicroseconds, type WallTime } from '../clock/clock.ts';
import type { ParameterName } from '../config/parameters.ts';
import { type DsnDetail, NO_DETAIL } from '../dsn/detail.ts';
import { announcement } from '../ipc/attributes.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { keepingReply } from '../ipc/keep.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import type { Log } from '../log/log.ts';
import { QueueFile } from '../queue/queue-file.ts';
import { parseQueueId } from '../queue/queue-id.ts';
import { type Hashing, hashingOf, QUEUE_NAMES, type QueueName } from '../queue/queue-path.ts';
import { runConnectionServer } from '../server/connection-server.ts';
import { describe } from '../server/failure.ts';
import type { Service, ServiceContext } from '../server/service.ts';
import { detailAttributes } from './detail-group.ts';
import type { Delivered, Outcome } from './outcome.ts';
import { type PassTarget, passOn } from './pass.ts';
import type { Recipient } from './recipient.ts';
import { Recording } from './recording.ts';
import { openReporters, type Reporters } from './reporters.ts';
import { type DeliveryRequest, receiveRequest } from './request.ts';
import { openStatusFilter } from './status-filter.ts';

/** A program that delivers mail: what is left when the skeleton has done what all of them do. */
export interface DeliveryAgent<P extends ParameterName = never, S = unknown> extends Service<P, S> {
  /**
   * Delivers one message to some of its recipients.
   *
   * @returns what became of the recipients that `delivery.record` has not been told of. Whoever
   *   is in neither stays in the queue, as do all when it throws
   */
  deliver(request: DeliveryRequest, delivery: Delivery<P, S>): Promise<readonly Delivered[]>;
}

/** One delivery under way. */
export interface Delivery<P extends ParameterName = never, S = unknown> {
  readonly log: Log;
  readonly context: ServiceContext<P>;
  readonly state: S;
  /** The queue file, open for reading and marking; the lock says that it is being delivered. */
  readonly message: QueueFile;
  /**
   * Records a recipient at once: a long delivery that is interrupted has less to repeat.
   *
   * @returns whether that settles it, rather than keeping it in the queue: a failure may have been
   *   softened, or could not be written down
   */
  record(recipient: Recipient, outcome: Outcome): Promise<boolean>;
  /** The whole destination is in trouble: qmgr will send less, or wait. */
  siteFailed(detail: DsnDetail): void;
  /**
   * Hands a recipient over to another agent, which logs and marks it; nothing else is to be
   * recorded then.
   *
   * @returns whether that agent is done with it, rather than keeping it in the queue
   * @throws {IpcError} when that agent can't be had: defer the recipient
   */
  passOn(recipient: Recipient, target: PassTarget): Promise<boolean>;
  /**
   * Of a recipient of the request that became several: they have been recorded one by one, under
   * recipients without an offset. Marks it done, or keeps it in the queue.
   */
  conclude(recipient: Recipient, done: boolean): void;
  /** The connection was ready at this time (ms, lib/clock): from then on it is transmission. */
  connectedAt(ms: number): void;
}

/**
 * How long a connection is kept: then it has to stand in line again with whoever else wants a
 * delivery, because where maxproc is small a kept connection keeps all others out.
 */
const TURN_MS = 1000;

const ANNOUNCEMENT = announcement(PROTOCOLS.delivery);

/** What deliveries of one process have in common. */
interface Common<S> {
  readonly own: S;
  readonly reporters: Reporters;
  readonly hashing: Hashing;
  readonly options: ClientOptions;
}

/** Runs a delivery agent: ipc.md 3.3. */
export function runDeliveryAgent<P extends ParameterName, S>(agent: DeliveryAgent<P, S>): void {
  runConnectionServer<P, Common<S>>({
    name: agent.name,
    parameters: agent.parameters,
    requires: agent.requires,
    privileged: agent.privileged,
    takesArguments: agent.takesArguments,
    ioThreads: agent.ioThreads,
    async open(context) {
      const { configuration, log } = context;
      return {
        own: (await agent.open?.(context)) as S,
        reporters: {
          ...openReporters(configuration, log),
          statusFilter: openStatusFilter(agent.name, context.tables),
        },
        hashing: hashingOf(configuration.select(['hash_queue_names', 'hash_queue_depth'])),
        options: clientOptions(configuration, log),
      };
    },
    start: (context, { own }) => agent.start?.(context, own),
    ...renewal(agent),
    stop: (context, { own }) => agent.stop?.(context, own),
    serve: (socket, context, common) => serve(agent, socket, context, common),
  });
}

/** Only an agent that can open its tables anew says so. */
function renewal<P extends ParameterName, S>({
  name,
  renew,
}: DeliveryAgent<P, S>): Pick<Service<P, Common<S>>, 'renew'> {
  if (renew === undefined) return {};
  return {
    renew(context, { own, reporters }) {
      reporters.statusFilter?.close();
      reporters.statusFilter = openStatusFilter(name, context.tables);
      renew(context, own);
    },
  };
}

/** One connection of qmgr: announce; then requests, for as long as it keeps the connection. */
async function serve<P extends ParameterName, S>(
  agent: DeliveryAgent<P, S>,
  socket: Socket,
  context: ServiceContext<P>,
  common: Common<S>,
): Promise<void> {
  const peer = `${context.serviceName} socket`;
  const connection = new IpcConnection(socket, common.options.timeoutMs ?? TIMEOUT_MS, { peer });
  let kept = false;
  let leaving = false;
  // Before its first request qmgr counts on us; a kept connection it only hopes for.
  const leave = () => {
    leaving = true;
    if (kept) connection.closeIfIdle();
  };
  context.stopping.addEventListener('abort', leave);
  const turn = after(TURN_MS, leave).unref();
  try {
    await connection.send(ANNOUNCEMENT);
    for (;;) {
      // The end here is no error: qmgr had nothing left to deliver, or goes elsewhere next time.
      // From here on the time is the agent's; qmgr can't know when it got to us.
      const request = await receiveRequest(connection, nowMicroseconds);
      if (request === undefined) return;
      if (agent.renew === undefined) context.tables.look();
      else context.tables.lookNow();
      const message = openMessage(request, common.hashing, context.log);
      // Without a reply qmgr knows that we did nothing.
      if (message === undefined) return;
      try {
        const reply = await deliver(agent, request, message, context, common);
        kept = !leaving && !context.stopping.aborted;
        await connection.send(kept ? keepingReply(reply) : reply);
      } finally {
        message.close();
      }
    }
  } finally {
    turn.stop();
    context.stopping.removeEventListener('abort', leave);
    connection.close();
  }
}

/** Opens the queue file and locks it, so that a new qmgr can't deliver the message again. */
function openMessage(request: DeliveryRequest, hashing: Hashing, log: Log): QueueFile | undefined {
  const { queueName, queueId } = request;
  const id = parseQueueId(queueId);
  const queue = QUEUE_NAMES.find((name): name is QueueName => name === queueName);
  const warn = (text: string) => {
    log.warn({ kind: 'text', queueId, text: `open ${queueName} ${queueId}: ${text}` });
    return undefined;
  };
  if (id === undefined || queue === undefined) return warn('no such queue or queue id');
  try {
    const options = { write: true, lock: 'shared' } as const;
    const message = QueueFile.open({ queue, id, hashing }, options);
    if (message.ready) return message;
    message.close();
    return warn('the message is incomplete or corrupt');
  } catch (error) {
    return warn((error as Error).message);
  }
}

/** @returns the reply: the trouble of the site, if any, and whether somebody stays in the queue */
async function deliver<P extends ParameterName, S>(
  agent: DeliveryAgent<P, S>,
  request: DeliveryRequest,
  message: QueueFile,
  context: ServiceContext<P>,
  { own, reporters, options }: Common<S>,
): Promise<ReturnType<typeof detailAttributes>> {
  const { log } = context;
  const recording = new Recording(request, message, reporters);
  let site = NO_DETAIL;
  const delivery: Delivery<P, S> = {
    log,
    context,
    state: own,
    message,
    record: (recipient, outcome) => recording.record(recipient, outcome),
    siteFailed: (detail) => {
      site = detail;
    },
    passOn: async (recipient, target) => {
      const reply = await passOn(request, recipient, target, options);
      recording.passedOn(recipient, reply.status === 0);
      return reply.status === 0;
    },
    conclude: (recipient, done) => recording.conclude(recipient, done),
    connectedAt: (ms) => {
      recording.connected = wallTime(ms);
    },
  };
  let unsaid = 'delivery agent did not report an outcome';
  try {
    const outcomes = await agent.deliver(request, delivery);
    for (const { recipient, outcome } of outcomes) await recording.record(recipient, outcome);
  } catch (error) {
    log.error({ kind: 'text', queueId: request.queueId, text: describe(error) });
    unsaid = `mail system trouble: ${(error as Error).message}`;
  }
  for (const recipient of request.recipients) {
    if (recording.has(recipient)) continue;
    // A bug delays mail, it never loses it.
    await recording.record(recipient, { kind: 'deferred', status: '4.3.0', text: unsaid });
  }
  await recording.settled();
  const status = recording.kept > 0 || site.status !== '' ? -1 : 0;
  return [...detailAttributes(site), ['status', status]];
}

function wallTime(ms: number): WallTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds, microseconds: Math.round((ms - seconds * 1000) * 1000) };
}
