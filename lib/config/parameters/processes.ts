/** master(8) and the process skeletons: time limits, reuse, privileges, environment. */
import { bool, int, list, seconds, text } from '../kind.ts';

export const processesParameters = {
  application_event_drain_time: seconds('100s', { min: 1 }),
  daemon_table_open_error_is_fatal: bool('no'),
  daemon_timeout: seconds('18000s', { min: 1 }),
  debugger_command: text('', { min: 1 }),
  default_privs: text('nobody', { min: 1 }),
  default_process_limit: int('100', { min: 1 }),
  deliver_lock_attempts: int('20', { min: 1 }),
  deliver_lock_delay: seconds('1s', { min: 1 }),
  export_environment: list('TZ MAIL_CONFIG LANG'),
  fork_attempts: int('5', { min: 1 }),
  fork_delay: seconds('1s', { min: 1 }),
  import_environment: list(
    'MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME',
  ),
  ipc_idle: seconds('5s', { min: 1 }),
  ipc_timeout: seconds('3600s', { min: 1 }),
  ipc_ttl: seconds('1000s', { min: 1 }),
  known_tcp_ports: list('lmtp=24, smtp=25, smtps=submissions=465, submission=587'),
  mail_owner: text('postfix', { min: 1 }),
  master_service_disable: list(''),
  max_idle: seconds('100s', { min: 1 }),
  max_use: int('100', { min: 1 }),
  service_throttle_time: seconds('60s', { min: 1 }),
  setgid_group: text('postdrop', { min: 1 }),
  stale_lock_time: seconds('500s', { min: 1 }),
  tcp_windowsize: int('0'),
  trigger_timeout: seconds('10s', { min: 1 }),
};
