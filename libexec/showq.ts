import { runConnectionServer } from '../lib/server/connection-server.ts';
import { showq } from '../services/showq/service.ts';

runConnectionServer(showq);
