import { runEventServer } from '../lib/server/event-server.ts';
import { postscreen } from '../services/postscreen/service.ts';

runEventServer(postscreen);
