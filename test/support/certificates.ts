/** Certificates for a test, made by openssl in a directory of its own. */
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freshDirectory } from './directories.ts';

export interface CertificateMaker {
  readonly directory: string;
  /** The certificate of the authority that signs all others. */
  readonly authority: string;
  /** Makes `name.pem` and `name.key`, signed by the authority, or by nobody else. */
  make(name: string, subject: string, options?: CertificateOptions): Certificate;
}

export interface CertificateOptions {
  /** `rsa:2048`, `dsa`, or a curve. */
  readonly key?: string;
  readonly isSelfSigned?: boolean;
}

export interface Certificate {
  /** Files. */
  readonly certificate: string;
  readonly key: string;
  /** What is in them. */
  readonly pem: { readonly cert: string; readonly key: string };
  /** `AA:BB:...`, SHA-256: of the certificate, and of its public key. */
  readonly fingerprint: string;
  readonly keyFingerprint: string;
}

export function makeCertificates(t: TestContext): CertificateMaker {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  /** DSA takes the parameters of its group from a file. */
  const dsaParameters = () => {
    const file = path('dsa.parameters');
    const options = ['-algorithm', 'DSA', '-pkeyopt', 'dsa_paramgen_bits:2048', '-genparam'];
    if (!existsSync(file)) openssl('genpkey', ...options, '-out', file);
    return file;
  };
  const keyOptions = (key: string) =>
    key === 'dsa'
      ? ['-newkey', `dsa:${dsaParameters()}`]
      : key.startsWith('rsa')
        ? ['-newkey', key]
        : ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${key}`];
  const authority = path('authority.pem');
  openssl(
    ...['req', '-x509', ...keyOptions('prime256v1'), '-nodes', '-keyout', path('authority.key')],
    ...['-out', authority, '-subj', '/CN=Lab CA/O=Lab', '-days', '30'],
    ...['-addext', 'basicConstraints=critical,CA:true'],
  );
  return {
    directory,
    authority,
    make(name, subject, { key = 'prime256v1', isSelfSigned = false } = {}) {
      const [certificate, keyFile] = [path(`${name}.pem`), path(`${name}.key`)];
      const request = ['req', ...keyOptions(key), '-nodes', '-keyout', keyFile, '-subj', subject];
      if (isSelfSigned) openssl(...request, '-x509', '-days', '30', '-out', certificate);
      else {
        openssl(...request, '-new', '-out', path('request'));
        openssl(
          ...['x509', '-req', '-in', path('request'), '-CA', authority, '-CAkey'],
          ...[path('authority.key'), '-CAcreateserial', '-days', '30', '-out', certificate],
        );
      }
      const shown = openssl('x509', '-in', certificate, '-noout', '-fingerprint', '-sha256');
      const pem = readFileSync(certificate, 'latin1');
      const publicKey = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
      return {
        certificate,
        key: keyFile,
        pem: { cert: pem, key: readFileSync(keyFile, 'latin1') },
        fingerprint: shown.trim().replace(/^.*=/, ''),
        keyFingerprint: digestOf(publicKey),
      };
    },
  };
}

/** `AA:BB:...` */
function digestOf(bytes: Buffer): string {
  const text = createHash('sha256').update(bytes).digest('hex').toUpperCase();
  return text.replace(/..(?=.)/g, '$&:');
}

/** Puts certificates and keys one after the other into a file. */
export function joinFiles(path: string, ...parts: readonly string[]): string {
  writeFileSync(path, parts.join(''));
  return path;
}
