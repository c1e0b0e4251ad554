import { runMultiServer } from '../lib/server/multi-server.ts';
import { verify } from '../services/verify/service.ts';

runMultiServer(verify);
