import { runDeliveryAgent } from '../lib/delivery/agent.ts';
import { discard } from '../services/discard/service.ts';

runDeliveryAgent(discard);
