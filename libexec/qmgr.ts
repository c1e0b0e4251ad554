import { runTriggerServer } from '../lib/server/trigger-server.ts';
import { qmgr } from '../services/qmgr/service.ts';

runTriggerServer(qmgr);
