import { runMultiServer } from '../lib/server/multi-server.ts';
import { tlsmgr } from '../services/tlsmgr/service.ts';

runMultiServer(tlsmgr);
