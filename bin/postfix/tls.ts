/**
 * `postfix tls`: keys and certificates for main.cf, and the settings that switch TLS on. As in
 * Postfix the openssl command makes them. What is printed is that of Postfix's script, whose name the
 * lines carry. postfix-tls(1).
 */
import { spawnSync } from 'node:child_process';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dateOf, now } from '../../lib/clock/clock.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { openLog } from '../../lib/log/log.ts';
import { type ParsedOptions, parseOptions, UsageError } from '../options/options.ts';
import { type Administration, commandPath, environmentOf } from './administration.ts';

type Algorithm = 'rsa' | 'ecdsa';

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

const ALGORITHMS: Readonly<
  Record<Algorithm, { prefix: string; strength: string; key: string; certificate: string }>
> = {
  rsa: {
    prefix: '',
    strength: '2048',
    key: 'smtpd_tls_key_file',
    certificate: 'smtpd_tls_cert_file',
  },
  ecdsa: {
    prefix: 'ec',
    strength: 'secp256r1',
    key: 'smtpd_tls_eckey_file',
    certificate: 'smtpd_tls_eccert_file',
  },
};
/** About a hundred years: nobody trusts it for its dates. */
const DAYS = '36525';
const COMMANDS =
  'enable-client (or enable-server, new-server-key, new-server-cert, deploy-server-cert, ' +
  'output-server-csr, output-server-tlsa, all-default-client, all-default-server)';
const NEW_USAGE = '[-a algorithm] [-b bits ] [hostname ...]';

interface Job {
  readonly administration: Administration;
  /** Says something, in lines. */
  readonly say: (lines: readonly string[]) => void;
  readonly warn: (text: string) => void;
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

/** Files. */
interface Made {
  readonly algorithm: Algorithm;
  readonly key: string;
  readonly certificate: string;
}

function nextSteps({ key, certificate }: Made, isDeployed: boolean, isNewKey: boolean): string[] {
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

/** Makes a key, or copies one, and a certificate that it signs itself. */
function make(job: Job, oldKey: string | undefined): Made {
  const algorithm = algorithmOf(job);
  const names = hostnames(job);
  const { prefix, strength } = ALGORITHMS[algorithm];
  const stamp = stampOf(now());
  const made = {
    algorithm,
    key: inDirectory(job, `${prefix}key-${stamp}.pem`),
    certificate: inDirectory(job, `${prefix}cert-${stamp}.pem`),
  };
  if (existsSync(made.key))
    throw new FatalError(`New private key file already exists: ${made.key}`);
  if (existsSync(made.certificate)) {
    throw new FatalError(`New certificate file already exists: ${made.certificate}`);
  }
  try {
    if (oldKey !== undefined) copyKey(job, oldKey, made);
    else makeKey(job, made, job.options.value('b') ?? strength);
    makeCertificate(job, made, names);
    return made;
  } catch (error) {
    rmSync(made.key, { force: true });
    rmSync(made.certificate, { force: true });
    throw error;
  }
}

/** `20261122-083600`, in UTC. */
function stampOf(time: number): string {
  const text = dateOf(time).toISOString().replace(/[-:]/g, '');
  return `${text.slice(0, 8)}-${text.slice(9, 15)}`;
}

/** Nobody else may read it, not even while it is being written. */
function makeKey(job: Job, { algorithm, key }: Made, strength: string): void {
  const command =
    algorithm === 'rsa'
      ? ['genrsa', '-out', key, strength]
      : ['ecparam', '-param_enc', 'named_curve', '-genkey', '-out', key, '-name', strength];
  const { status, text } = openssl(job, command, { umask: 0o077 });
  if (status === 0) return;
  job.warn(text);
  throw new FatalError(`error generating new ${algorithm} ${strength} private key`);
}

function copyKey(job: Job, from: string, { algorithm, key }: Made): void {
  const found = readKey(from);
  if (found === undefined) {
    throw new FatalError(`Error copying private key from '${from}' to '${key}'`);
  }
  const name = algorithmOfKey(found);
  if (name !== algorithm) {
    throw new FatalError(`Key algorithm '${name}' of '${from}' is not '${algorithm}'`);
  }
  openssl(job, ['pkey', '-in', from, '-out', key], { umask: 0o077 });
}

function makeCertificate(job: Job, { key, certificate }: Made, names: readonly string[]): void {
  const subject = `/CN=${names[0]}`;
  const { status, text } = withSettings(extensions('x509_extensions', names), (file) => {
    const command = ['req', '-x509', '-config', file, '-new', '-key', key, '-subj', subject];
    return openssl(job, [...command, '-days', DAYS, '-out', certificate], { umask: 0o022 });
  });
  if (status === 0) return;
  job.warn(text);
  throw new FatalError('error generating self-signed SSL certificate');
}

/** What openssl is told of a certificate, or of a request for one. */
function extensions(
  kind: 'x509_extensions' | 'req_extensions',
  names: readonly string[],
): string[] {
  return [
    'default_md = sha256',
    `${kind} = v3`,
    'prompt = yes',
    'distinguished_name = dn',
    '[dn]',
    '[v3]',
    ...(kind === 'x509_extensions' ? ['basicConstraints = CA:false'] : []),
    'subjectKeyIdentifier = hash',
    'extendedKeyUsage = serverAuth, clientAuth',
    'subjectAltName = @alts',
    '[alts]',
    ...names.map((name, at) => `DNS.${at + 1} = ${name}`),
  ];
}

/** What Node hands to a program as its input, that can't open by a name: it needs a file. */
function withSettings<T>(lines: readonly string[], use: (file: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'postfix-tls-'));
  try {
    const file = join(directory, 'settings');
    writeFileSync(file, `${lines.join('\n')}\n`);
    return use(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
    deployment(checked({ certificate: inDirectory(job, certificate), key: inDirectory(job, key) })),
  );
  job.say(DEPLOYED);
  return 0;
}

/** @throws {FatalError} when the two don't belong together */
function checked({ certificate, key }: Omit<Made, 'algorithm'>): Made {
  const found = requireKey(key);
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(readFileSync(certificate));
  } catch {
    throw new FatalError('error computing certificate public key digest');
  }
  if (!parsed.checkPrivateKey(found)) {
    throw new FatalError(`Certificate in ${certificate} does not match key in ${key}`);
  }
  const algorithm = algorithmOfKey(found);
  if (algorithm === undefined) throw new FatalError('error computing public key digest');
  return { algorithm, certificate, key };
}

function deployment({ algorithm, certificate, key }: Made): string[] {
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
  const settings = extensions('req_extensions', hostnames(job));
  const { status, output, text } = withSettings(settings, (file) =>
    openssl(job, ['req', '-config', file, '-new', '-key', key, '-subj', '/']),
  );
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
    process.stdout.write(`_25._tcp.${host}. IN TLSA 3 1 1 ${digestOf(requireKey(key))}\n`);
  }
  if (keys.length === 0) throw new FatalError('No usable keyfiles specified or configured');
  return 0;
}

function digestOf(key: KeyObject): string {
  const bytes = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest('hex');
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

function requireKey(file: string): KeyObject {
  const key = readKey(file);
  if (key === undefined) throw new FatalError(`no private key found in file: ${file}`);
  return key;
}

function readKey(file: string): KeyObject | undefined {
  try {
    return createPrivateKey(readFileSync(file));
  } catch {
    return undefined;
  }
}

function algorithmOfKey(key: KeyObject): Algorithm | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'rsa';
  return key.asymmetricKeyType === 'ec' ? 'ecdsa' : undefined;
}

/** Names of files are relative to the configuration directory. */
function inDirectory({ administration: { configuration } }: Job, name: string): string {
  return resolve(configuration.directory, name);
}

interface Output {
  readonly status: number | null;
  /** What it printed. */
  readonly output: string;
  /** What it complained of. */
  readonly text: string;
}

function openssl(
  { administration }: Job,
  command: readonly string[],
  { umask }: { umask?: number } = {},
): Output {
  const program = administration.configuration.text('openssl_path');
  const before = umask === undefined ? undefined : process.umask(umask);
  const { status, stdout, stderr, error } = spawnSync(program, command, {
    encoding: 'utf8',
    env: environmentOf(administration),
  });
  if (before !== undefined) process.umask(before);
  if (error !== undefined) {
    throw new FatalError(`No working openssl(1) command found with 'openssl_path = ${program}'`);
  }
  return { status, output: stdout, text: stderr.trim() };
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
