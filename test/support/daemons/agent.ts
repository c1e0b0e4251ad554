/** A delivery agent whose outcomes are the local parts: `sent`, `deferred`, `bounced`, `crash` ... */
import { runDeliveryAgent } from '../../../lib/delivery/agent.ts';
import type { Delivered, Outcome } from '../../../lib/delivery/outcome.ts';

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  sent: { kind: 'sent', status: '2.0.0', text: 'quietly' },
  relayed: {
    kind: 'sent',
    status: '2.1.5',
    text: '250 2.1.5 Ok',
    relay: 'mx.example.net[192.0.2.7]:25',
    connUse: 2,
    action: 'relayed',
    remoteMta: { type: 'dns', name: 'mx.example.net' },
    diagnostic: { type: 'smtp', text: '250 2.1.5 Ok' },
  },
  deferred: { kind: 'deferred', status: '4.2.1', text: 'not today' },
  bounced: { kind: 'bounced', status: '5.1.1', text: 'gone' },
};

runDeliveryAgent({
  name: 'agent',
  parameters: [],
  async deliver(request, delivery) {
    const rest: Delivered[] = [];
    for (const recipient of request.recipients) {
      const word = recipient.address.split('@')[0] ?? '';
      if (word === 'crash') throw new TypeError('crashed on purpose');
      if (word === 'forgotten') continue;
      if (word === 'elsewhere') {
        await delivery.passOn(recipient, { transport: 'other', nexthop: 'there' });
        continue;
      }
      if (word === 'site') {
        const reason = 'connect to 192.0.2.9[192.0.2.9]:25: Connection refused';
        delivery.siteFailed({
          status: '4.4.1',
          diagType: '',
          diagText: '',
          mtaType: '',
          mtaName: '',
          action: '',
          reason,
        });
        rest.push({ recipient, outcome: { kind: 'deferred', status: '4.4.1', text: reason } });
        continue;
      }
      const outcome = OUTCOMES[word] ?? { kind: 'sent', status: '2.0.0', text: 'whatever' };
      if (request.nexthop === 'at once') await delivery.record(recipient, outcome);
      else rest.push({ recipient, outcome });
    }
    return rest;
  },
});
