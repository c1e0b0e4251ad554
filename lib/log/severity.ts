/** The levels of an event, as syslog and the text of a line know them. */
export type Severity = 'debug' | 'info' | 'warning' | 'error' | 'fatal' | 'panic';

/** What stands in front of the text. */
export const SEVERITY_WORDS: Readonly<Record<Severity, string>> = {
  debug: '',
  info: '',
  warning: 'warning: ',
  error: 'error: ',
  fatal: 'fatal: ',
  panic: 'panic: ',
};

/** syslog(3) has no word for panic, and keeps `err` for what is not yet the end. */
export const SYSLOG_SEVERITIES = {
  debug: 'debug',
  info: 'info',
  warning: 'warning',
  error: 'err',
  fatal: 'crit',
  panic: 'crit',
} as const;
