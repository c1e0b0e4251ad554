/** A program that logs a hundred lines and is gone: `exiting LOGFILE [both]`. */
import { openLog } from '../../../lib/log/log.ts';

const values: Record<string, string> = {
  maillog_file: process.argv[2] ?? '',
  maillog_file_prefixes: '/',
  syslog_name: 'postfix',
  myhostname: 'mail.example.com',
};
const log = openLog({
  program: 'postmap',
  configuration: { text: (name) => values[name] ?? '' },
  to: process.argv[3] === 'both' ? 'both' : 'log',
});
for (let line = 0; line < 100; line += 1) log.warn(`line ${line}`);
process.exit(3);
