import type { DeliveryAgent } from '../../lib/delivery/agent.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import { splitStatus } from '../../lib/dsn/status.ts';

/**
 * discard(8): the delivery agent that loses mail on purpose.
 *
 * Called by qmgr, one delivery request at a time. Calls nobody; opens nothing.
 * The nexthop is the reason to log; it may start with an RFC 3463 status:
 * `discard:2.7.1 load test`. Postfix: discard(8).
 */
export const discard: DeliveryAgent<never> = {
  name: 'discard',
  parameters: [],
  async deliver(request) {
    const { status, text } = splitStatus(request.nexthop, '2.0.0');
    const outcome: Outcome = { kind: 'sent', status, text };
    return request.recipients.map((recipient) => ({ recipient, outcome }));
  },
};
