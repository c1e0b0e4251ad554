import { AgentConnection, type DeliveryReply } from '../clients/delivery.ts';
import { type ClientOptions, TIMEOUT_MS } from '../clients/options.ts';
import { connectPatiently, PATIENT } from '../ipc/connect-patiently.ts';
import { IpcError } from '../ipc/error.ts';
import type { Recipient } from './recipient.ts';
import type { DeliveryRequest } from './request.ts';

/** Another delivery agent: `mailbox_transport = lmtp:unix:private/dovecot`. */
export interface PassTarget {
  readonly transport: string;
  /** '' is that of the request. */
  readonly nexthop: string;
}

/** Splits `transport:nexthop`, as *mailbox_transport* and the like name an agent. */
export function parsePassTarget(text: string): PassTarget {
  const colon = text.indexOf(':');
  if (colon < 0) return { transport: text, nexthop: '' };
  return { transport: text.slice(0, colon), nexthop: text.slice(colon + 1) };
}

/**
 * Hands one recipient over to another delivery agent, as qmgr would: that one logs, and marks the
 * recipient done.
 *
 * @throws {IpcError} when it can't be had, or gives no reply: the recipient stays in the queue
 */
export async function passOn(
  request: DeliveryRequest,
  recipient: Recipient,
  target: PassTarget,
  options: ClientOptions,
): Promise<DeliveryReply> {
  const { timeoutMs = TIMEOUT_MS } = options;
  const path = `private/${target.transport}`;
  const agent = await AgentConnection.over(
    await connectPatiently(path, timeoutMs, { patience: PATIENT, ...options }),
  );
  const nexthop = target.nexthop === '' ? request.nexthop : target.nexthop;
  try {
    const reply = await agent.deliver({ ...request, nexthop, recipients: [recipient] });
    if (reply === undefined) throw new IpcError(`${path} socket: no reply from delivery agent`);
    return reply;
  } finally {
    agent.close();
  }
}
