/**
 * A private key and its certificate, for `postfix tls`: made, looked at, and asked for. The openssl
 * command makes them, as in Postfix.
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
import { type Administration, environmentOf } from './administration.ts';

export type Algorithm = 'rsa' | 'ecdsa';

/** How files are called, how long a key is, and the parameters that name the files. */
export const ALGORITHMS: Readonly<
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

/** Two files. */
export interface KeyPair {
  readonly algorithm: Algorithm;
  readonly key: string;
  readonly certificate: string;
}

export interface PairRequest {
  readonly algorithm: Algorithm;
  /** The subject's first. */
  readonly names: readonly string[];
  /** This key is copied; without it a new one is made. */
  readonly oldKey: string | undefined;
  /** Of a new key: bits, or the name of a curve. */
  readonly strength: string | undefined;
}

/** What openssl is run with. */
export interface Workshop {
  readonly administration: Administration;
  /** Is told what openssl complains of. */
  readonly warn: (text: string) => void;
}

/** Makes a key, or copies one, and a certificate that it signs itself. */
export function makePair(
  workshop: Workshop,
  { algorithm, names, oldKey, strength }: PairRequest,
): KeyPair {
  const { prefix, strength: usual } = ALGORITHMS[algorithm];
  const { directory } = workshop.administration.configuration;
  const stamp = stampOf(now());
  const made = {
    algorithm,
    key: resolve(directory, `${prefix}key-${stamp}.pem`),
    certificate: resolve(directory, `${prefix}cert-${stamp}.pem`),
  };
  if (existsSync(made.key))
    throw new FatalError(`New private key file already exists: ${made.key}`);
  if (existsSync(made.certificate)) {
    throw new FatalError(`New certificate file already exists: ${made.certificate}`);
  }
  try {
    if (oldKey !== undefined) copyKey(workshop, oldKey, made);
    else makeKey(workshop, made, strength ?? usual);
    makeCertificate(workshop, made, names);
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
function makeKey(workshop: Workshop, { algorithm, key }: KeyPair, strength: string): void {
  const command =
    algorithm === 'rsa'
      ? ['genrsa', '-out', key, strength]
      : ['ecparam', '-param_enc', 'named_curve', '-genkey', '-out', key, '-name', strength];
  const { status, text } = openssl(workshop, command, { umask: 0o077 });
  if (status === 0) return;
  workshop.warn(text);
  throw new FatalError(`error generating new ${algorithm} ${strength} private key`);
}

function copyKey(workshop: Workshop, from: string, { algorithm, key }: KeyPair): void {
  const found = readKey(from);
  if (found === undefined) {
    throw new FatalError(`Error copying private key from '${from}' to '${key}'`);
  }
  const name = algorithmOfKey(found);
  if (name !== algorithm) {
    throw new FatalError(`Key algorithm '${name}' of '${from}' is not '${algorithm}'`);
  }
  openssl(workshop, ['pkey', '-in', from, '-out', key], { umask: 0o077 });
}

function makeCertificate(
  workshop: Workshop,
  { key, certificate }: KeyPair,
  names: readonly string[],
): void {
  const subject = `/CN=${names[0]}`;
  const { status, text } = withSettings(extensions('x509_extensions', names), (file) => {
    const command = ['req', '-x509', '-config', file, '-new', '-key', key, '-subj', subject];
    return openssl(workshop, [...command, '-days', DAYS, '-out', certificate], { umask: 0o022 });
  });
  if (status === 0) return;
  workshop.warn(text);
  throw new FatalError('error generating self-signed SSL certificate');
}

/** Asks for a certificate. @returns the request, and what openssl complains of */
export function requestCertificate(
  workshop: Workshop,
  key: string,
  names: readonly string[],
): Output {
  return withSettings(extensions('req_extensions', names), (file) =>
    openssl(workshop, ['req', '-config', file, '-new', '-key', key, '-subj', '/']),
  );
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

/** @throws {FatalError} when the two don't belong together */
export function checkPair({ certificate, key }: Omit<KeyPair, 'algorithm'>): KeyPair {
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

/** Of a key's public half: `3 1 1` of a TLSA record. @throws {FatalError} when the file has none */
export function digestOf(file: string): string {
  const bytes = createPublicKey(requireKey(file)).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest('hex');
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

/** How openssl ended. */
export interface Output {
  readonly status: number | null;
  /** What it printed. */
  readonly output: string;
  /** What it complained of. */
  readonly text: string;
}

function openssl(
  { administration }: Workshop,
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
