/** The system's log: datagrams to /dev/log. */
import { dateOf, now } from '../clock/clock.ts';
import { connectDatagram, datagramSocket, sendConnected } from './sockets.ts';

export type Severity = 'crit' | 'err' | 'warning' | 'info' | 'debug';

const SEVERITIES = { crit: 2, err: 3, warning: 4, info: 6, debug: 7 } as const;

/** RFC 3164 4.1.1, by syslog.conf's names. */
const FACILITIES: ReadonlyMap<string, number> = new Map([
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron'].map(
    (name, number) => [name, number] as const,
  ),
  ['authpriv', 10],
  ['ftp', 11],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((number) => [`local${number}`, 16 + number] as const),
]);

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const LOG_SOCKET = '/dev/log';

/** One connected socket a process: it goes on working after a chroot, where the path is gone. */
let socket: number | undefined;
let connected = false;

/** Whether syslog has a facility of this name: `mail`, `local0`. */
export function isFacility(name: string): boolean {
  return FACILITIES.has(name);
}

/** Connects to the system's log, so that it is there after privileges and root are given up. */
export function openSyslog(): boolean {
  socket ??= datagramSocket();
  connected = connectDatagram(socket, LOG_SOCKET);
  return connected;
}

/**
 * Sends one line, as `postfix/smtpd[123]: text`; the priority and the time are put before it.
 *
 * @returns false when nobody took it: there is no log daemon, or it can't keep up
 */
export function sendSyslog(facility: string, severity: Severity, text: string): boolean {
  const priority = (FACILITIES.get(facility) ?? 2) * 8 + SEVERITIES[severity];
  const line = Buffer.from(`<${priority}>${timestamp()} ${text}`);
  if (!connected && !openSyslog()) return false;
  if (sendConnected(socket ?? -1, line)) return true;
  // A log daemon that was restarted is a new socket at the same path.
  return openSyslog() && sendConnected(socket ?? -1, line);
}

/** `Nov  1 22:48:34`, local time (RFC 3164 4.1.2). */
function timestamp(): string {
  const date = dateOf(now());
  const two = (number: number) => String(number).padStart(2, '0');
  const day = String(date.getDate()).padStart(2, ' ');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${MONTHS[date.getMonth()]} ${day} ${time}`;
}
