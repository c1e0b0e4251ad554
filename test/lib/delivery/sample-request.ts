import { NEVER } from '../../../lib/delivery/delivery-times.ts';
import type { DeliveryRequest } from '../../../lib/delivery/request.ts';

/** The request of ipc.md 3.3. */
export const sampleRequest: DeliveryRequest = {
  flags: 3,
  queueName: 'active',
  queueId: '9E3B3220164',
  contentOffset: 820,
  contentSize: 335,
  nexthop: 'quietly',
  encoding: '8bit',
  sendOptions: 0,
  sender: 'alice@ipc.example.com',
  envelopeId: 'QQ314159',
  retFlags: 2,
  times: {
    arrival: { seconds: 1795301314, microseconds: 646995 },
    active: { seconds: 1795301314, microseconds: 647012 },
    handoff: { seconds: 1795301314, microseconds: 647029 },
    connected: NEVER,
    delivered: NEVER,
    reuseCount: 0,
  },
  logClientName: 'localhost',
  logClientAddress: '127.0.0.1',
  logClientPort: '51934',
  logClientProtocol: 'ESMTP',
  logClientHelo: 'probe.example',
  saslMethod: '',
  saslUsername: '',
  saslSender: '',
  logIdent: '9E3B3220164',
  rewriteContext: 'local',
  recipients: [
    {
      original: 'bob@disc.example',
      address: 'bob@disc.example',
      offset: 719,
      dsnOriginal: 'rfc822;Bob@Disc.Example',
      notify: 6,
    },
    {
      original: 'carol@disc.example',
      address: 'carol@disc.example',
      offset: 798,
      dsnOriginal: 'rfc822;carol@disc.example',
      notify: 0,
    },
  ],
};
