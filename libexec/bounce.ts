import { runConnectionServer } from '../lib/server/connection-server.ts';
import { bounce } from '../services/bounce/service.ts';

runConnectionServer(bounce);
