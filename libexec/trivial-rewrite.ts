import { runMultiServer } from '../lib/server/multi-server.ts';
import { trivialRewrite } from '../services/trivial-rewrite/service.ts';

runMultiServer(trivialRewrite);
