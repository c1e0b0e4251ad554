/** The beginning of a line in maillog_file: `Nov 21 22:37:39 mail postfix/smtpd[604]: `. */
import { dateOf } from '../clock/clock.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Local time as logs write it; the day has two digits. */
export function formatStamp(milliseconds: number): string {
  const date = dateOf(milliseconds);
  return (
    `${MONTHS[date.getMonth()]} ${twoDigits(date.getDate())} ` +
    `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}`
  );
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** The first label of a host name. */
export function shortHostname(hostname: string): string {
  const dot = hostname.indexOf('.');
  return dot < 0 ? hostname : hostname.slice(0, dot);
}

/** Makes line prefixes, and formats the clock only when the second has changed. */
export class LinePrefix {
  readonly #rest: string;
  #second = -1;
  #text = '';

  constructor(host: string, tag: string, pid: number) {
    this.#rest = ` ${host} ${tag}[${pid}]: `;
  }

  at(milliseconds: number): string {
    const second = Math.floor(milliseconds / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = formatStamp(milliseconds) + this.#rest;
    }
    return this.#text;
  }
}
