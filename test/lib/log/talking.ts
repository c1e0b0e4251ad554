/** A daemon in the foreground: writes 4000 lines to a standard output that does not wait. */
import { openLog } from '../../../lib/log/log.ts';
import { setNonBlocking } from '../../../lib/os/descriptors.ts';

setNonBlocking(1);
const values: Record<string, string> = {
  maillog_file: '/dev/stdout',
  maillog_file_prefixes: '/dev/stdout',
  syslog_name: 'postfix',
  myhostname: 'mail.example.com',
};
const log = openLog({ program: 'x', configuration: { text: (name) => values[name] ?? '' } });
let line = 0;
const timer = setInterval(() => {
  for (let count = 0; count < 100; count += 1, line += 1)
    log.info(`line ${line} ${'é'.repeat(60)}`);
  if (line >= 4000) clearInterval(timer);
}, 1);
// A daemon lives on: what the pipe did not take at once is written later.
setTimeout(() => {}, 1000);
