/** One delivery: the request to an agent, and what its answer means for the destination. */

import type { AgentConnection, DeliveryReply } from '../../lib/clients/delivery.ts';
import { now, nowMicroseconds } from '../../lib/clock/clock.ts';
import { NEVER } from '../../lib/delivery/delivery-times.ts';
import { DELIVERY_FLAG, type DeliveryRequest } from '../../lib/delivery/request.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import { isStatus } from '../../lib/dsn/status.ts';
import type { Core } from './core.ts';
import { type Destination, SUSPENDED } from './destination.ts';
import type { Entry } from './message.ts';
import { verpSender } from './verp.ts';

/** What an agent said. */
export interface Answer {
  readonly reply: DeliveryReply | undefined;
  /** To be used again. */
  readonly connection: AgentConnection | undefined;
}

/**
 * Has an entry delivered. An agent that we kept may have left meanwhile: then the request goes to
 * another one. Without a reply nobody knows what was delivered, so all is tried again later.
 */
export async function deliver(
  core: Core,
  entry: Entry,
  destination: Destination,
  first: AgentConnection,
): Promise<Answer> {
  const { name } = destination.transport;
  const request = requestOf(entry, destination);
  let connection = first;
  try {
    const isKept = connection.reusable;
    let reply = await connection.deliver(request);
    if (reply === undefined && isKept) {
      connection.close();
      connection = await core.connect(name);
      reply = await connection.deliver(request);
    }
    if (reply === undefined) core.log.warn(`private/${name} socket: malformed response`);
    if (reply !== undefined && connection.reusable) return { reply, connection };
    connection.close();
    return { reply, connection: undefined };
  } catch (error) {
    connection.close();
    core.log.warn((error as Error).message);
    core.log.warn(`private/${name} socket: malformed response`);
    return { reply: undefined, connection: undefined };
  }
}

/** What a reply says about the whole destination: why it is in trouble, if it is. */
export function troubleOf(reply: DeliveryReply): DsnDetail | undefined {
  const { detail, status } = reply;
  if (status === 0 || detail.status === '') return undefined;
  return {
    ...detail,
    status: isStatus(detail.status) ? detail.status : '4.0.0',
    reason: SUSPENDED + (detail.reason === '' ? 'unknown error' : detail.reason),
  };
}

function requestOf(entry: Entry, destination: Destination): DeliveryRequest {
  const { message, recipients } = entry;
  const { envelope, request } = message;
  setCacheFlags(destination);
  const inspected = envelope.inspector !== undefined && envelope.inspector !== '';
  const marks = inspected ? 0 : DELIVERY_FLAG.SUCCESS;
  // Spelt out: spreading so many fields costs more than all the rest of it.
  return {
    queueName: request.queueName,
    queueId: request.queueId,
    contentOffset: request.contentOffset,
    contentSize: request.contentSize,
    encoding: request.encoding,
    sendOptions: request.sendOptions,
    envelopeId: request.envelopeId,
    retFlags: request.retFlags,
    logClientName: request.logClientName,
    logClientAddress: request.logClientAddress,
    logClientPort: request.logClientPort,
    logClientProtocol: request.logClientProtocol,
    logClientHelo: request.logClientHelo,
    saslMethod: request.saslMethod,
    saslUsername: request.saslUsername,
    saslSender: request.saslSender,
    logIdent: request.logIdent,
    rewriteContext: request.rewriteContext,
    flags: envelope.traceFlags | destination.cacheFlags | marks | DELIVERY_FLAG.BOUNCE,
    nexthop: destination.nexthop,
    sender: senderOf(entry),
    times: {
      arrival: envelope.arrivalTime,
      active: message.activeAt,
      handoff: nowMicroseconds(),
      connected: NEVER,
      delivered: NEVER,
      reuseCount: 0,
    },
    recipients,
  };
}

function senderOf({ message, recipients }: Entry): string {
  const { sender, verpDelimiters } = message.envelope;
  const [recipient] = recipients;
  if (verpDelimiters === undefined || recipient === undefined) return sender;
  return verpSender(verpDelimiters, sender, recipient.original || recipient.address);
}

/**
 * Deliveries that follow each other closely share a connection to the destination: it is kept from
 * the second one on, and until the mail for it has dried up.
 */
function setCacheFlags(destination: Destination): void {
  const { CONN_LOAD, CONN_STORE } = DELIVERY_FLAG;
  const backToBack = destination.lastDoneAt + 1 >= Math.floor(now() / 1000);
  if ((destination.cacheFlags & CONN_STORE) === 0) {
    if (backToBack) destination.cacheFlags |= CONN_LOAD | CONN_STORE;
  } else if (!backToBack && destination.busy <= 1) {
    destination.cacheFlags &= ~CONN_STORE;
  }
}
