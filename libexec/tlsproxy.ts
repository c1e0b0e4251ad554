import { runEventServer } from '../lib/server/event-server.ts';
import { tlsproxy } from '../services/tlsproxy/service.ts';

runEventServer(tlsproxy);
