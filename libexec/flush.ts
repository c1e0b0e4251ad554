import { runConnectionServer } from '../lib/server/connection-server.ts';
import { flush } from '../services/flush/service.ts';

runConnectionServer(flush);
