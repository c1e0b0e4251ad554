import { runConnectionServer } from '../lib/server/connection-server.ts';
import { auth } from '../services/auth/service.ts';

runConnectionServer(auth);
