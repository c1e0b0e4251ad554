/**
 * `postfix tls`: keys and certificates for main.cf, and the settings that switch TLS on. What is
 * printed is that of Postfix's script, whose name the lines carry. postfix-tls(1).
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { FatalError } from '../../lib/log/fatal.ts';
import { openLog } from '../../lib/log/log.ts';
import { type ParsedOptions, parseOptions, UsageError } from '../options/options.ts';
import { type Administration, commandPath, environmentOf } from './administration.ts';
import {
  ALGORITHMS,
  type Algorithm,
  checkPair,
  digestOf,
  type KeyPair,
  makePair,
  requestCertificate,
  type Workshop,
} from './key-pair.ts';

/** What a subcommand may change is asked for first: nobody's own settings are overwritten. */
const CLIENT_SETTINGS = [
  'smtp_use_tls',
  'smtp_enforce_tls',
  'smtp_tls_enforce_peername',
  'smtp_tls_security_level',
  'smtp_tls_cert_file',
  'smtp_tls_dcert_file',
  'smtp_tls_eccert_file',
] as const;
const SERVER_SETTINGS = [
  'smtpd_use_tls',
  'smtpd_enforce_tls',
  'smtpd_tls_security_level',
  'smtpd_tls_cert_file',
  'smtpd_tls_dcert_file',
  'smtpd_tls_eccert_file',
] as const;

const COMMANDS =
  'enable-client (or enable-server, new-server-key, new-server-cert, deploy-server-cert, ' +
  'output-server-csr, output-server-tlsa, all-default-client, all-default-server)';
const NEW_USAGE = '[-a algorithm] [-b bits ] [hostname ...]';

interface Job extends Workshop {
  /** Says something, in lines. */
  readonly say: (lines: readonly string[]) => void;
  /** Options and operands of the subcommand; a wrong one is refused with its usage. */
  readonly options: ParsedOptions;
}

interface Subcommand {
  readonly flags: string;
  readonly usage: string;
  readonly operands?: boolean;
  run(job: Job): number;
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  'enable-client': { flags: 'r:', usage: '[-r devrandom]', run: enableClient },
  'enable-server': {
    flags: 'a:b:r:',
    usage: '[-a algorithm] [-b bits ] [-r devrandom] [hostname ...]',
    operands: true,
    run: enableServer,
  },
  'new-server-key': { flags: 'a:b:', usage: NEW_USAGE, operands: true, run: newServerKey },
  'new-server-cert': { flags: 'a:b:', usage: NEW_USAGE, operands: true, run: newServerCertificate },
  'deploy-server-cert': { flags: '', usage: 'certfile keyfile', operands: true, run: deploy },
  'output-server-csr': {
    flags: 'k:',
    usage: '[-k keyfile] [hostname ...]',
    operands: true,
    run: outputRequest,
  },
  'output-server-tlsa': {
    flags: 'h:',
    usage: '[-h hostname] [keyfile ...]',
    operands: true,
    run: outputTlsa,
  },
  'all-default-client': { flags: '', usage: '', run: (job) => allDefault(job, CLIENT_SETTINGS) },
  'all-default-server': { flags: '', usage: '', run: (job) => allDefault(job, SERVER_SETTINGS) },
};

/** Runs a subcommand. @returns the exit status */
export function tls(administration: Administration, words: readonly string[]): number {
  const { configuration } = administration;
  const log = openLog({
    program: 'postfix-tls-script',
    configuration,
    to: 'both',
    label: 'postfix/postfix-tls-script',
  });
  const [name = '', ...rest] = words;
  const subcommand = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
  try {
    if (subcommand === undefined) {
      log.error(`unknown tls command: '${name}'`);
      throw new FatalError(`usage: postfix tls ${COMMANDS}`);
    }
    const usage = `usage: postfix tls ${name} ${subcommand.usage}`.trimEnd();
    const job: Job = {
      administration,
      say: (lines) => {
        for (const line of lines) log.info(line);
      },
      warn: (text) => {
        for (const line of text.split('\n')) log.warn(line);
      },
      options: optionsOf(rest, subcommand, usage),
    };
    return subcommand.run(job);
  } catch (error) {
    log.fatal((error as Error).message);
    return 1;
  } finally {
    log.flush();
  }
}

function optionsOf(words: readonly string[], { flags, operands }: Subcommand, usage: string) {
  try {
    const options = parseOptions(words, { flags, usage });
    if (options.operands.length === 0 || operands === true) return options;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  throw new FatalError(usage);
}

function allDefault(job: Job, names: readonly string[]): number {
  return isAllDefault(job, names) ? 0 : 1;
}

function isAllDefault(
  { administration: { configuration } }: Job,
  names: readonly string[],
): boolean {
  return names.every((name) => !configuration.isSet(name) || configuration.text(name) === '');
}

function enableClient(job: Job): number {
  const { configuration } = job.administration;
  if (!isAllDefault(job, CLIENT_SETTINGS)) {
    job.say([
      '*** Non-default SMTP client TLS settings detected, no changes made.',
      'For opportunistic TLS in the Postfix SMTP client, the below settings',
      'are typical:',
      '  smtp_tls_security_level = may',
      '  smtp_tls_loglevel = 1',
      `  smtp_tls_session_cache_database = btree:\${data_directory}/smtp_scache`,
    ]);
    return 0;
  }
  edit(job, [
    'smtp_tls_security_level = may',
    'smtp_tls_loglevel = 1',
    `smtp_tls_session_cache_database = btree:${configuration.text('data_directory')}/smtp_scache`,
    randomSource(job),
  ]);
  job.say(['Enabled opportunistic TLS in the Postfix SMTP client.', ...RELOAD]);
  return 0;
}

const RELOAD = [
  'Run the command:',
  '  # postfix reload',
  'if you want the new settings to take effect immediately.',
];

function randomSource({ administration: { configuration }, options }: Job): string {
  const source = options.value('r') || configuration.text('tls_random_source');
  return `tls_random_source = ${source || 'dev:/dev/urandom'}`;
}

function enableServer(job: Job): number {
  if (!isAllDefault(job, SERVER_SETTINGS)) {
    job.say([
      '*** Non-default SMTP server TLS settings detected, no changes made.',
      'For opportunistic TLS in the Postfix SMTP server, the below settings',
      'are typical:',
      '  smtpd_tls_security_level = may',
      '  smtpd_tls_loglevel = 1',
      'You can use "postfix tls new-server-cert" to create a new certificate.',
      'Or, "postfix tls new-server-key" to also force a new private key.',
      'If you publish DANE TLSA records, see:',
      '  https://tools.ietf.org/html/rfc7671#section-8',
      '  https://tools.ietf.org/html/rfc7671#section-5.1',
      '  https://tools.ietf.org/html/rfc7671#section-5.2',
      '  https://community.letsencrypt.org/t/please-avoid-3-0-1-and-3-0-2-dane-tlsa-records-with-le-certificates/7022',
    ]);
    return 0;
  }
  const made = make(job, undefined);
  edit(job, [
    ...deployment(made),
    'smtpd_tls_security_level = may',
    'smtpd_tls_received_header = yes',
    'smtpd_tls_loglevel = 1',
    randomSource(job),
  ]);
  job.say(['Enabled opportunistic TLS in the Postfix SMTP server', ...DEPLOYED]);
  job.say(nextSteps(made, true, true));
  return 0;
}

const DEPLOYED = ['New TLS private key and certificate deployed.', ...RELOAD];

function newServerKey(job: Job): number {
  return makeNew(job, undefined);
}

function newServerCertificate(job: Job): number {
  const old = configuredKey(job, algorithmOf(job));
  if (old !== undefined && !existsSync(old)) {
    job.warn(`Key file: ${old} not found, creating new keys`);
    return makeNew(job, undefined);
  }
  return makeNew(job, old);
}

function makeNew(job: Job, oldKey: string | undefined): number {
  const made = make(job, oldKey);
  job.say([
    'New private key and self-signed certificate created. To deploy run:',
    `  # postfix tls deploy-server-cert ${made.certificate} ${made.key}`,
  ]);
  job.say(nextSteps(made, false, oldKey === undefined));
  return 0;
}

function nextSteps(
  { key, certificate }: KeyPair,
  isDeployed: boolean,
  isNewKey: boolean,
): string[] {
  return [
    'To generate a CSR run:',
    `  # postfix tls output-server-csr -k ${key} [<hostname> ...]`,
    `Save the signed certificate chain in ${certificate}${isDeployed ? '.' : ', and deploy as above.'}`,
    'To generate TLSA records run:',
    `  # postfix tls output-server-tlsa [-h <hostname>]${isDeployed ? '' : ` ${key}`}`,
    ...(isNewKey ? aboutDane(isDeployed) : []),
  ];
}

function aboutDane(isDeployed: boolean): string[] {
  return isDeployed
    ? [
        '(If you have DANE TLSA RRs, update them as soon as possible to match',
        'the newly deployed keys).',
      ]
    : ['(deploy after updating the DNS and waiting for stale RRs to expire).'];
}

function algorithmOf({ options }: Job): Algorithm {
  const name = options.value('a') ?? 'rsa';
  if (name === 'rsa' || name === 'ecdsa') return name;
  throw new FatalError(`Unsupported private key algorithm: ${name}`);
}

function make(job: Job, oldKey: string | undefined): KeyPair {
  const algorithm = algorithmOf(job);
  const names = hostnames(job);
  return makePair(job, { algorithm, names, oldKey, strength: job.options.value('b') });
}

function hostnames({ administration: { configuration }, options }: Job): readonly string[] {
  const [first, ...more] = options.operands;
  const names = [first || configuration.get('myhostname'), ...more];
  const wrong = names.find((name) => !/^[\w.*-]+$/.test(name));
  if (wrong !== undefined) throw new FatalError(`not a hostname: '${wrong}'`);
  return names;
}

function deploy(job: Job): number {
  const [certificate, key, ...more] = job.options.operands;
  if (certificate === undefined || key === undefined || more.length > 0) {
    throw new FatalError('usage: postfix tls deploy-server-cert certfile keyfile');
  }
  edit(
    job,
    deployment(
      checkPair({ certificate: inDirectory(job, certificate), key: inDirectory(job, key) }),
    ),
  );
  job.say(DEPLOYED);
  return 0;
}

function deployment({ algorithm, certificate, key }: KeyPair): string[] {
  const names = ALGORITHMS[algorithm];
  return [`${names.key} = ${key}`, `${names.certificate} = ${certificate}`];
}

function outputRequest(job: Job): number {
  const wanted = job.options.value('k');
  const key =
    wanted === undefined
      ? (configuredKey(job, 'rsa') ?? configuredKey(job, 'ecdsa'))
      : keyFile(job, wanted);
  if (key === undefined || !existsSync(key)) {
    throw new FatalError('No usable keyfile specified or configured');
  }
  const { status, output, text } = requestCertificate(job, key, hostnames(job));
  process.stdout.write(output);
  if (status !== 0) job.warn(text);
  return status === 0 ? 0 : 1;
}

function outputTlsa(job: Job): number {
  const host = job.options.value('h') || job.administration.configuration.get('myhostname');
  const wanted = job.options.operands.length === 0 ? ['rsa', 'ecdsa'] : job.options.operands;
  const keys = wanted.flatMap((word) => keyFile(job, word) ?? []);
  for (const key of keys) {
    process.stdout.write(`; ${key}\n`);
    process.stdout.write(`_25._tcp.${host}. IN TLSA 3 1 1 ${digestOf(key)}\n`);
  }
  if (keys.length === 0) throw new FatalError('No usable keyfiles specified or configured');
  return 0;
}

/** A key of main.cf by its algorithm, or a file. */
function keyFile(job: Job, word: string): string | undefined {
  if (word === 'rsa' || word === 'ecdsa') return configuredKey(job, word);
  return word === '' || word === 'none' ? undefined : inDirectory(job, word);
}

function configuredKey({ administration: { configuration } }: Job, algorithm: Algorithm) {
  const { key, certificate } = ALGORITHMS[algorithm];
  // The default is the certificate's file: that counts where it is set.
  const isSet = configuration.isSet(key) || configuration.isSet(certificate);
  const file = isSet ? configuration.text(key) : '';
  return file === '' || file === 'none' ? undefined : file;
}

/** Names of files are relative to the configuration directory. */
function inDirectory({ administration: { configuration } }: Job, name: string): string {
  return resolve(configuration.directory, name);
}

/** All in one go: whoever reads main.cf meanwhile sees all of it, or nothing. */
function edit({ administration }: Job, settings: readonly string[]): void {
  const { directory } = administration.configuration;
  const { status, stderr } = spawnSync(
    commandPath(administration, 'postconf'),
    ['-c', directory, '-e', ...settings],
    { encoding: 'utf8', env: environmentOf(administration) },
  );
  if (status !== 0) throw new FatalError(`cannot change main.cf: ${stderr.trim()}`);
}
