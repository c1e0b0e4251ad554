/**
 * What each parameter may be: values at and beyond every bound, given to the Postfix daemon that reads the
 * parameter. It starts with them or says why not, and so does ours, in the same words.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigError, loadConfiguration } from '../../../lib/config/configuration.ts';
import type { Parameter } from '../../../lib/config/kind.ts';
import { posthasteParameters } from '../../../lib/config/parameters/posthaste.ts';
import { PARAMETERS, type ParameterName } from '../../../lib/config/parameters.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type LogSocket, logSocket } from '../../support/log-socket.ts';
import { REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import { writeSettled } from '../../support/settled-file.ts';

/** Who reads a parameter: the first that fits; smtpd has those that everybody reads. */
const READERS: readonly (readonly [daemon: string, names: RegExp])[] = [
  [
    'bounce',
    /^(?:2?bounce_(?:notice_recipient|size_limit)|delay_notice_recipient|enable_threaded)/,
  ],
  ['cleanup', /^(?:always_add|canonical_|cleanup_|delay_warning|body_checks_size|disable_verp)/],
  ['cleanup', /^(?:detect_8bit|duplicate_filter|empty_address_recipient|hopcount|queue_file)/],
  ['cleanup', /^(?:(?:recipient|sender)_canonical_classes|virtual_alias_\w+_limit)$/],
  [
    'qmgr',
    /^(?:bounce_queue|confirm_delay|initial_dest|local_dest|maximal_|qmgr_|transport_retry)/,
  ],
  ['qmgr', /^(?:default_(?:del|des|ext|min|rec|transport_rate)|destination_)/],
  ['qmgr', /^address_verify_pending/],
  ['tlsmgr', /_tls_session_cache_timeout$|^tls_random/],
  ['lmtp', /^lmtp_/],
  [
    'local',
    /^(?:biff|expand_|frozen_|mailbox_|require_home|reset_owner|strict_mailbox|sun_mailtool)/,
  ],
  ['local', /^(?:command|execution|forward)_\w*(?:filter|time_limit)$/],
  ['anvil', /^anvil_[ras]/],
  ['scache', /^connection_cache_[st]\w+_(?:time|limit)$/],
  ['dnsblog', /^dns(?:_ncache|blog_reply)/],
  ['flush', /^fast_flush_\w+_time$/],
  ['qmqpd', /^qmqpd_/],
  ['postscreen', /^(?:postscreen_|(?:dnsblog|smtpd)_service_name)/],
  ['smtp', /^(?:connection_cache_|ignore_mx|minimal_backoff|queue_run|smtp_|tls_|tls\w+_service)/],
  ['tlsproxy', /^tlsproxy_/],
  ['verify', /^address_verify_(?:cache|negative_[er]|positive)/],
  ['trivial-rewrite', /^(?:address_verify|default|local|relay|virtual)(?:_\w+)?_transport$/],
  ['trivial-rewrite', /^(?:allow_(?:min|percent)|append_|empty_address|resolve_|swap_)/],
  ['virtual', /^virtual_ma.*(?:base|limit)$|^virtual_minimum/],
  ['error', /^error_service/],
  ['pickup', /^pickup_service/],
  ['proxymap', /^proxymap_service/],
  ['showq', /^showq_service/],
  ['flush', /^flush_service/],
  ['smtpd', /./],
];
/** Only commands or scripts read these, or nobody does. */
const NOT_OF_DAEMONS =
  /^(?:debugger_command|html_|mailq_|manpage_|newaliases_|openssl_|readme_|sample_|sendmail_)|^(?:config_directory|process_id|qmgr_fudge_factor|service_throttle_time|virtual_mailbox_lock)$|^(?:postlogd_watchdog|tls_daemon_random)/;
/** Smaller than 0: Postfix starts, and panics at the first delivery. */
const STRICTER = ['delay_logging_resolution_limit=-1'];
/** Parameters of TLS are read by those who use it. */
const WITH_TLS = ['-o', 'smtp_tls_security_level=may'];
const AT_A_TIME = 8;

const TAKEN = 'taken';

test('parameters have the bounds that they have in Postfix', {
  skip: whyNoPostfix(),
}, async (t) => {
  const directory = arrange(t);
  const log = logSocket(t, join(directory, 'spool/public/postlog'));
  const cases = Object.entries(PARAMETERS)
    .filter(([name]) => !NOT_OF_DAEMONS.test(name) && !(name in posthasteParameters))
    .flatMap(([name, parameter]) =>
      valuesFor(parameter).map((value) => [name as ParameterName, value] as const),
    );
  const differences: string[] = [];
  let refused = 0;
  const waiting = cases.values();
  const worker = async () => {
    for (const [name, value] of waiting) {
      const setting = `${name}=${value}`;
      const ours = askOurs(directory, name, setting);
      const real = await askReal({ directory, log, name, setting });
      if (ours !== real && !STRICTER.includes(setting))
        differences.push(`${setting}: ours: ${ours}; Postfix: ${real}`);
      if (ours !== TAKEN) refused += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  assert.deepEqual(differences, []);
  assert.ok(refused > 900, `${refused} of ${cases.length}`);
});

function arrange(t: TestContext): string {
  const directory = freshDirectory(t);
  for (const name of ['spool', 'spool/public', 'data']) mkdirSync(join(directory, name));
  writeSettled(
    join(directory, 'main.cf'),
    `compatibility_level = 3.6
queue_directory = ${directory}/spool
data_directory = ${directory}/data
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
myhostname = mx.lab.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
`,
  );
  return directory;
}

function valuesFor({ kind, bounds }: Parameter): string[] {
  switch (kind) {
    case 'bool':
      return ['maybe'];
    case 'int':
    case 'code':
    case 'size':
    case 'seconds': {
      const beyond = [(bounds.min ?? 0) - 1, ...(bounds.max ? [bounds.max + 1] : [])];
      const unit = kind === 'seconds' ? 's' : '';
      return ['', 'abc', '5q', '99999999999', ...beyond.map((number) => `${number}${unit}`)];
    }
    default:
      return bounds.min === undefined ? [] : [''];
  }
}

function askOurs(directory: string, name: ParameterName, setting: string): string {
  try {
    loadConfiguration({ directory, overrides: [setting] }).get(name);
    return TAKEN;
  } catch (error) {
    if (error instanceof ConfigError) return error.text;
    throw error;
  }
}

interface Question {
  readonly directory: string;
  readonly log: LogSocket;
  readonly name: string;
  readonly setting: string;
}

/** The daemon reads its configuration, then nothing from its client; it is not let live longer. */
async function askReal({ directory, log, name, setting }: Question): Promise<string> {
  const [daemon = ''] = READERS.find(([, names]) => names.test(name)) ?? [];
  const socket = join(directory, 'spool/public/postlog');
  const args = ['-S', ...(daemon === 'smtp' ? WITH_TLS : []), '-o', setting];
  const env = { MAIL_CONFIG: directory, POSTLOG_SERVICE: socket, POSTLOG_HOSTNAME: 'mail' };
  const child = spawn(join(REAL_DAEMONS, daemon), args, { argv0: daemon, stdio: 'ignore', env });
  try {
    return await eventually(`${daemon} with ${setting}`, () => {
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      const lines = log.lines().filter((line) => line.includes(`[${child.pid}]: `));
      const refusal = lines.find((line) => line.includes(name));
      if (refusal !== undefined) return /fatal: (.*)\n/.exec(refusal)?.[1] ?? refusal;
      return (hasEnded || lines.length > 0) && TAKEN;
    });
  } finally {
    child.kill('SIGKILL');
  }
}
