/** Where finished lines go: maillog_file, postlogd, syslog, or the terminal of a command. */
import { writeSync } from 'node:fs';
import { now } from '../clock/clock.ts';
import { sendSyslog } from '../os/syslog.ts';
import type { HandOver, LogFile } from './log-file.ts';
import type { LinePrefix } from './prefix.ts';
import { type Severity, SYSLOG_SEVERITIES } from './severity.ts';

/** Takes lines that have their severity word, but no prefix yet. */
export interface Sink {
  write(severity: Severity, text: string): void;
  flush(): void;
  /** The log file may have been renamed. */
  reopen?(): void;
}

/** Appends to the file; a JSON line has its own time and tag. */
export function fileSink(file: LogFile, prefix: LinePrefix, withPrefix: boolean): Sink {
  return {
    write: (_, text) => file.append(withPrefix ? prefix.at(now()) + text : text),
    flush: () => file.flush(),
    reopen: () => file.reopen(),
  };
}

/** Asks postlogd to write the line; when it is not there, `otherwise` takes it. */
export function postlogSink(
  hand: HandOver,
  prefix: LinePrefix,
  withPrefix: boolean,
  otherwise: Sink,
): Sink {
  return {
    write(severity, text) {
      const line = withPrefix ? prefix.at(now()) + text : text;
      if (!hand(line)) otherwise.write(severity, text);
    },
    flush: () => otherwise.flush(),
  };
}

/** The system's log; `label` is `postfix/smtpd[604]`. */
export function syslogSink(facility: string, label: string): Sink {
  return {
    write: (severity, text) => {
      sendSyslog(facility, SYSLOG_SEVERITIES[severity], `${label}: ${text}`);
    },
    flush: () => {},
  };
}

/** The person who typed the command: `postmap: fatal: ...`. */
export function terminalSink(program: string): Sink {
  return {
    write(_, text) {
      try {
        writeSync(2, `${program}: ${text}\n`);
      } catch {
        // Nobody reads our standard error. There is nobody to tell.
      }
    },
    flush: () => {},
  };
}
