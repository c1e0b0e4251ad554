import { runDeliveryAgent } from '../lib/delivery/agent.ts';
import { error } from '../services/error/service.ts';

runDeliveryAgent(error);
