/** Logging, and postlogd(8). */
import { list, seconds, text } from '../kind.ts';

export const logParameters = {
  info_log_address_format: text('external', { words: ['external', 'internal'], min: 1 }),
  maillog_file: text(''),
  maillog_file_compressor: text('gzip', { min: 1 }),
  maillog_file_prefixes: list('/var, /dev/stdout', { min: 1 }),
  maillog_file_rotate_suffix: text('%Y%m%d-%H%M%S', { min: 1 }),
  postlog_service_name: text('postlog', { min: 1 }),
  postlogd_watchdog_timeout: seconds('10s', { min: 10 }),
  syslog_facility: text('mail', { min: 1 }),
  syslog_name: text('${multi_instance_name?{$multi_instance_name}:{postfix}}', { min: 1 }),
};
