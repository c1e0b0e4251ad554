import { FatalError } from '../../lib/log/fatal.ts';
import type { LogFile } from '../../lib/log/log-file.ts';
import { openMaillogFile } from '../../lib/log/maillog-file.ts';
import { printableLine } from '../../lib/log/printable.ts';
import type { DatagramService } from '../../lib/server/datagram-server.ts';

/** More than any line with its prefix; what is beyond was not written by us. */
const DATAGRAM_BYTES_MAX = 4096;
const WATCHDOG_SECONDS = 10;

/**
 * postlogd(8): writes maillog_file for those who may not.
 *
 * Our daemons append to the file themselves; they come here after a rotation, when they have given
 * up the right to open it. Commands of ordinary users and daemons of real Postfix always do. One
 * datagram is one line, complete with its prefix. Postfix: postlogd(8).
 */
export const postlogd: DatagramService<never, LogFile> = {
  name: 'postlogd',
  parameters: [],
  requires: 'solitary',
  useLimit: false,
  watchdogSeconds: WATCHDOG_SECONDS,

  open({ configuration }) {
    const text = (name: string) => configuration.text(name);
    const path = text('maillog_file');
    if (path === '') throw new FatalError('maillog_file is not set: there is no file to write');
    const file = openMaillogFile(text);
    if (file === undefined) throw new FatalError(`open logfile '${path}': not permitted`);
    return file;
  },

  receive(bytes, _context, file) {
    file.append(printableLine(bytes.toString('utf8').trimEnd(), DATAGRAM_BYTES_MAX));
  },

  stop(_context, file) {
    file.flush();
  },
};
