/** Whom we trust to vouch for clients: `smtpd_tls_CAfile`, `smtpd_tls_CApath`, the system's own. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyUnreadable } from './certificates.ts';
import { certificatesIn } from './key-pair.ts';
import type { Settings } from './server-parameters.ts';

/** Where Debian, Red Hat and Alpine keep the certificates that the system trusts. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];
/** As `openssl rehash` names them. */
const HASHED = /^[0-9a-f]{8}\.\d+$/;
/**
 * Of clients that are asked for nothing a CAfile can only complete our own chain: that takes a few
 * certificates, and the whole list of a system would cost 47 ms.
 */
const CHAIN_MAX = 20;

/** @returns PEM; a text, when a file can't be read: what the log says then */
export function readAuthorities(
  settings: Settings,
  asksForCertificate: boolean,
): string[] | string {
  const { smtpd_tls_CAfile: file, smtpd_tls_CApath: path, tls_append_default_CA } = settings;
  const named = file === '' ? [] : certificatesIn(readText(file));
  if (file !== '' && named.length === 0) {
    const why = whyUnreadable(file);
    return `cannot load Certification Authority data, CAfile="${file}" (${why})`;
  }
  if (!asksForCertificate) return named.length <= CHAIN_MAX ? named : [];
  const inPath = path === '' ? [] : inDirectory(path);
  return [...named, ...inPath, ...(tls_append_default_CA ? ofSystem() : [])];
}

function inDirectory(path: string): string[] {
  try {
    const names = readdirSync(path).filter((name) => HASHED.test(name));
    return names.flatMap((name) => certificatesIn(readText(join(path, name))));
  } catch {
    // As OpenSSL's: there is nobody in it.
    return [];
  }
}

function ofSystem(): string[] {
  return (
    SYSTEM_FILES.map(readText)
      .map(certificatesIn)
      .find(({ length }) => length > 0) ?? []
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
