/** smtp(8), and lmtp(8) when it is started under that name. */
import { basename } from 'node:path';
import { runDeliveryAgent } from '../lib/delivery/agent.ts';
import { smtpAgent } from '../services/smtp/service.ts';

runDeliveryAgent(smtpAgent(basename(process.argv[1] ?? '') === 'lmtp' ? 'lmtp' : 'smtp'));
