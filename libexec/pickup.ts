import { runTriggerServer } from '../lib/server/trigger-server.ts';
import { pickup } from '../services/pickup/service.ts';

runTriggerServer(pickup);
