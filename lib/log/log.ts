/**
 * The log of a program. An event goes in; pino carries it, with its level, to a destination of our
 * own, which writes Postfix's line of text, or a line of JSON (maillog_format = json), and counts it.
 */
import { type Logger, pino } from 'pino';
import { dateOf, now } from '../clock/clock.ts';
import { sendDatagram } from '../os/sockets.ts';
import { openSyslog } from '../os/syslog.ts';
import { addressTextBy } from './address-text.ts';
import { type Counters, countEvent } from './counters.ts';
import type { LogEvent } from './event.ts';
import { jsonFields } from './json-line.ts';
import { formatEvent, type LineStyle } from './line.ts';
import { openMaillogFile } from './maillog-file.ts';
import { LinePrefix, shortHostname } from './prefix.ts';
import { asciiOnly, printableLine } from './printable.ts';
import { SEVERITY_WORDS, type Severity } from './severity.ts';
import { fileSink, postlogSink, type Sink, syslogSink, terminalSink } from './sink.ts';

/** What a program logs with. None of these throws, and only `fatal` and `panic` wait for the disk. */
export interface Log {
  /** `postfix/smtpd`. */
  readonly tag: string;
  /** How many events of each kind. */
  readonly counters: ReadonlyMap<string, number>;
  /** What an administrator audits. */
  info(event: LogEvent | string): void;
  /** What asks for a human. */
  warn(event: LogEvent | string): void;
  error(event: LogEvent | string): void;
  /** Our surroundings are wrong. Is written when it returns; the caller ends the process. */
  fatal(event: LogEvent | string): void;
  /** We are wrong. As `fatal`. */
  panic(event: LogEvent | string): void;
  /** For us: logged with `-v` only. */
  debug(event: LogEvent | string): void;
  /** Whether `debug` logs: what takes work to say need not be said otherwise. */
  readonly isVerbose: boolean;
  /** Writes what has been collected. */
  flush(): void;
  /** Writes what has been collected; what follows goes to a new file if this one was renamed. */
  reopen(): void;
}

/** Any configuration: this library needs the text of a few parameters. */
export interface LogConfiguration {
  text(name: string): string;
}

export interface LogOptions {
  /** The last part of the tag: `smtpd`. */
  readonly program: string;
  /** Absent before main.cf has been read: the built-in tag, and syslog. */
  readonly configuration?: LogConfiguration;
  /**
   * `log` for daemons (the default); `both` for commands that log and tell the person at the
   * terminal; `terminal` for those that only tell.
   */
  readonly to?: 'log' | 'both' | 'terminal';
  /** Replaces the whole tag (postlog -t). */
  readonly tag?: string;
  /** Begins the lines at the terminal; `program` unless given. */
  readonly label?: string;
  /** `-v`: debug lines are logged too, as info. */
  readonly verbose?: boolean;
}

/**
 * Opens the log: maillog_file when it is set and may be opened (so do this before privileges are
 * dropped), else postlogd, else syslog.
 *
 * @throws {FatalError} when maillog_file lies outside maillog_file_prefixes
 */
export function openLog(options: LogOptions): Log {
  const setup = readSetup(options);
  const counters: Counters = new Map();
  const destination: PinoDestination = {
    [PINO_METADATA]: true,
    lastLevel: 0,
    lastObj: NO_EVENT,
    write(json) {
      const severity = SEVERITY_OF_LEVEL[destination.lastLevel] ?? 'info';
      const event = destination.lastObj;
      countEvent(counters, event);
      if (setup.json && setup.terminal === undefined) {
        setup.sink?.write(severity, json.trimEnd());
        return;
      }
      const text = textOf(severity, event, setup);
      setup.terminal?.write(severity, text);
      setup.sink?.write(severity, setup.json ? json.trimEnd() : text);
    },
  };
  const logger = openPino(setup, destination);
  const log = logWith(logger, setup, counters);
  process.on('exit', () => log.flush());
  return log;
}

function logWith(logger: PinoLogger, setup: Setup, counters: Counters): Log {
  const { sink, verbose } = setup;
  const messageOf = (event: LogEvent) =>
    setup.json ? printableLine(formatEvent(event, setup.style)) : undefined;
  const at = (level: keyof typeof LEVELS) => (given: LogEvent | string) => {
    const event: LogEvent = typeof given === 'string' ? { kind: 'text', text: given } : given;
    logger[level](event, messageOf(event));
  };
  const waiting = (write: (event: LogEvent | string) => void) => (event: LogEvent | string) => {
    write(event);
    sink?.flush();
  };
  return {
    tag: setup.tag,
    counters,
    info: at('info'),
    warn: at('warning'),
    error: at('error'),
    fatal: waiting(at('fatal')),
    panic: waiting(at('panic')),
    debug: verbose ? at('debug') : () => {},
    isVerbose: verbose,
    flush: () => sink?.flush(),
    reopen: () => sink?.reopen?.(),
  };
}

/** One finished line of text, without its prefix. */
function textOf(severity: Severity, event: LogEvent, { style, ascii }: Setup): string {
  const line = printableLine(SEVERITY_WORDS[severity] + formatEvent(event, style));
  return ascii ? asciiOnly(line) : line;
}

/** pino leaves the event here before it calls `write`, for destinations that ask for it. */
const PINO_METADATA = Symbol.for('pino.metadata');

interface PinoDestination {
  readonly [PINO_METADATA]: true;
  lastLevel: number;
  lastObj: LogEvent;
  write(json: string): void;
}

type PinoLogger = Logger<Severity, true>;

const LEVELS = { debug: 20, info: 30, warning: 40, error: 50, fatal: 60, panic: 70 } as const;
const SEVERITY_OF_LEVEL: Readonly<Record<number, Severity>> = {
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
  70: 'panic',
};
const NO_EVENT: LogEvent = { kind: 'text', text: '' };
const NO_FIELDS = {};

/** For lines of text pino need not write the fields out as JSON: the destination has the event. */
function openPino(setup: Setup, destination: PinoDestination): PinoLogger {
  const { json, host, tag, verbose } = setup;
  return pino<Severity, true>(
    {
      level: verbose ? 'debug' : 'info',
      customLevels: LEVELS,
      useOnlyCustomLevels: true,
      base: json ? { host, tag, pid: process.pid } : null,
      timestamp: json ? () => `,"time":"${dateOf(now()).toISOString()}"` : false,
      messageKey: 'message',
      formatters: json
        ? {
            level: (level) => ({ level }),
            log: (event) => jsonFields(event as unknown as LogEvent),
          }
        : { log: () => NO_FIELDS },
    },
    destination,
  );
}

interface Setup {
  /** The log; absent for a command that only talks to its terminal. */
  readonly sink?: Sink;
  readonly terminal?: Sink;
  readonly tag: string;
  readonly host: string;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly style: LineStyle;
  /** smtputf8_enable = no: no UTF-8 in lines of text. */
  readonly ascii: boolean;
}

function readSetup(options: LogOptions): Setup {
  const text = (name: string) => options.configuration?.text(name) ?? '';
  const tag = options.tag ?? tagOf(options, text('syslog_name'));
  const host = shortHostname(text('myhostname') || process.env['POSTLOG_HOSTNAME'] || 'amnesiac');
  const json = text('maillog_format') === 'json';
  const { to = 'log', program, verbose = false } = options;
  const sink = to === 'terminal' ? undefined : openSink(text, host, tag, json);
  const terminal = to === 'log' ? undefined : terminalSink(options.label ?? program);
  const style = {
    delayDecimals: Number(text('delay_logging_resolution_limit') || 2),
    addressText: addressTextBy(text('info_log_address_format')),
  };
  const ascii = text('smtputf8_enable') === 'no';
  return { sink, terminal, tag, host, json, verbose, style, ascii };
}

/** Before main.cf is read there is no program part, except by order of MAIL_LOGTAG. */
function tagOf(options: LogOptions, syslogName: string): string {
  const name = process.env['MAIL_LOGTAG'];
  if (options.configuration === undefined) return name ?? 'postfix';
  return `${syslogName || name || 'postfix'}/${options.program}`;
}

function openSink(text: (name: string) => string, host: string, tag: string, json: boolean): Sink {
  const syslog = syslogSink(text('syslog_facility') || 'mail', `${tag}[${process.pid}]`);
  if (text('maillog_file') === '') {
    openSyslog();
    return syslog;
  }
  const prefix = new LinePrefix(host, tag, process.pid);
  const service = text('postlog_service_name') || 'postlog';
  const socket = process.env['POSTLOG_SERVICE'] ?? `${text('queue_directory')}/public/${service}`;
  const hand = (line: string) => sendDatagram(socket, Buffer.from(line, 'utf8'));
  const file = openMaillogFile(text, hand);
  if (file !== undefined) return fileSink(file, prefix, !json);
  return postlogSink(hand, prefix, !json, syslog);
}
