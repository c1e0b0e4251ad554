import { runDeliveryAgent } from '../lib/delivery/agent.ts';
import { local } from '../services/local/service.ts';

runDeliveryAgent(local);
