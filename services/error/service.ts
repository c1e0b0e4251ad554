import type { DeliveryAgent } from '../../lib/delivery/agent.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import { splitStatus } from '../../lib/dsn/status.ts';
import { FatalError } from '../../lib/log/fatal.ts';

/**
 * error(8): the delivery agent that never delivers. As the service `error` it gives up on every
 * recipient, as `retry` it puts them off.
 *
 * Called by qmgr, one delivery request at a time. Calls nobody; opens nothing.
 * The nexthop is the reason; it may start with an RFC 3463 status:
 * `error:5.7.1 this domain is closed`. Postfix: error(8).
 */
export const error: DeliveryAgent<never> = {
  name: 'error',
  parameters: [],

  open({ serviceName }) {
    if (isKnown(serviceName)) return;
    throw new FatalError(`unexpected service name: ${serviceName}. Name it error or retry`);
  },

  async deliver({ nexthop, recipients }, { context }) {
    const outcome = context.serviceName === 'retry' ? puttingOff(nexthop) : givingUp(nexthop);
    return recipients.map((recipient) => ({ recipient, outcome }));
  },
};

function isKnown(serviceName: string): boolean {
  return serviceName === 'error' || serviceName === 'retry';
}

function givingUp(nexthop: string): Outcome {
  const { status, text } = splitStatus(nexthop, '5.0.0');
  return { kind: 'bounced', status, text: text || 'Address is undeliverable' };
}

function puttingOff(nexthop: string): Outcome {
  const { status, text } = splitStatus(nexthop, '4.0.0');
  return { kind: 'deferred', status, text: text || 'Service unavailable' };
}
