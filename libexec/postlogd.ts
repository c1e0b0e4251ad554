import { runDatagramServer } from '../lib/server/datagram-server.ts';
import { postlogd } from '../services/postlogd/service.ts';

runDatagramServer(postlogd);
