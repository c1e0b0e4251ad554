import { runConnectionServer } from '../lib/server/connection-server.ts';
import { dnsblog } from '../services/dnsblog/service.ts';

runConnectionServer(dnsblog);
