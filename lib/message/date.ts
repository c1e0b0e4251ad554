/**
 * RFC 5322 dates in local time: `Sat, 21 Nov 2026 22:48:34 +0000 (UTC)`. Without Intl.
 */
import { dateOf } from '../clock/clock.ts';
import { zoneAbbreviation } from './time-zone.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);

/** Days below ten have a blank, as Postfix writes them. */
const padded = (day: number): string => (day < 10 ? ` ${day}` : `${day}`);

/** Messages come many in one second; their dates are the same. */
const last = { second: Number.NaN, text: '' };

/** @param ms since the epoch */
export function formatDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== last.second) {
    last.text = format(dateOf(second * 1000));
    last.second = second;
  }
  return last.text;
}

function format(date: Date): string {
  const east = -date.getTimezoneOffset();
  const zone = Math.abs(east);
  const day = `${DAYS[date.getDay()]}, ${padded(date.getDate())} ${MONTHS[date.getMonth()]}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const offset = `${east < 0 ? '-' : '+'}${two(Math.floor(zone / 60))}${two(zone % 60)}`;
  const name = zoneAbbreviation(east);
  return `${day} ${date.getFullYear()} ${time} ${offset}${name === '' ? '' : ` (${name})`}`;
}

/** `20261121230654`: UTC, as in a Message-ID. */
export function formatStamp(ms: number): string {
  const date = dateOf(ms);
  return (
    `${date.getUTCFullYear()}${two(date.getUTCMonth() + 1)}${two(date.getUTCDate())}` +
    `${two(date.getUTCHours())}${two(date.getUTCMinutes())}${two(date.getUTCSeconds())}`
  );
}
