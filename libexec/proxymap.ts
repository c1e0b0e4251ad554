import { runMultiServer } from '../lib/server/multi-server.ts';
import { proxymap } from '../services/proxymap/service.ts';

runMultiServer(proxymap);
