import { runConnectionServer } from '../lib/server/connection-server.ts';
import { smtpd } from '../services/smtpd/service.ts';

runConnectionServer(smtpd);
