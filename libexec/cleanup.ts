import { runConnectionServer } from '../lib/server/connection-server.ts';
import { cleanup } from '../services/cleanup/service.ts';

runConnectionServer(cleanup);
