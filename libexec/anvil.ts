import { runMultiServer } from '../lib/server/multi-server.ts';
import { anvil } from '../services/anvil/service.ts';

runMultiServer(anvil);
