/** The certificates and keys of main.cf, read while we may still read them. */
import { readFileSync } from 'node:fs';
import { splitList } from '../config/configuration.ts';
import { type KeyPair, KeyPairError, readKeyPair, readKeyPairs } from './key-pair.ts';
import type { Settings } from './server-parameters.ts';

/** A server that is meant to have no certificate: only anonymous ciphers are left to it. */
const NONE = 'none';

const PAIRS = [
  ['RSA', 'smtpd_tls_cert_file', 'smtpd_tls_key_file'],
  ['DSA', 'smtpd_tls_dcert_file', 'smtpd_tls_dkey_file'],
  ['ECDSA', 'smtpd_tls_eccert_file', 'smtpd_tls_eckey_file'],
] as const;

export interface Certificates {
  /** Of several, the client's abilities decide. */
  readonly pairs: readonly KeyPair[];
  /** Read, or to be read. */
  readonly files: readonly string[];
  /** Why there can be no TLS; as the log says it. */
  readonly trouble: string | undefined;
}

/** Whether main.cf names any; `none` is a certificate file, too. */
export function namesCertificates(settings: Settings): 'certificates' | 'none' | 'nothing' {
  if (settings.smtpd_tls_chain_files !== '') return 'certificates';
  const files = PAIRS.map(([, certificates]) => settings[certificates]);
  if (files.some((file) => file !== '' && file.toLowerCase() !== NONE)) return 'certificates';
  return settings.smtpd_tls_cert_file.toLowerCase() === NONE ? 'none' : 'nothing';
}

export function readCertificates(settings: Settings, warn: (text: string) => void): Certificates {
  const files: string[] = [];
  const usesChains = settings.smtpd_tls_chain_files !== '';
  const what = usesChains ? 'error opening chain file' : 'cannot read';
  const read = (name: string) => {
    files.push(name);
    const text = readText(name);
    if (text === '') warn(`${what}: ${name}: ${whyUnreadable(name)}`);
    return { name, text };
  };
  try {
    return {
      pairs: usesChains ? readChains(settings, read, warn) : readPairs(settings, read),
      files,
      trouble: undefined,
    };
  } catch (error) {
    if (!(error instanceof KeyPairError)) throw error;
    return { pairs: [], files, trouble: error.message };
  }
}

type Read = (name: string) => { name: string; text: string };

function readPairs(settings: Settings, read: Read): KeyPair[] {
  return PAIRS.flatMap(([kind, certificates, key]) => {
    const file = settings[certificates];
    if (file === '' || file.toLowerCase() === NONE) return [];
    return readKeyPair(kind, read(file), read(settings[key]));
  });
}

function readChains(settings: Settings, read: Read, warn: (text: string) => void): KeyPair[] {
  if (PAIRS.some(([, certificates]) => settings[certificates] !== '')) {
    warn(
      'Both smtpd_tls_chain_files and one or more of the legacy  smtpd_tls_cert_file, ' +
        'smtpd_tls_eccert_file or smtpd_tls_dcert_file are non-empty; the legacy  parameters will be ignored',
    );
  }
  const names = splitList(settings.smtpd_tls_chain_files);
  // One that is missing is complained of; the others are used. So it is in Postfix.
  const texts = names.map(read).filter(({ text }) => text !== '');
  try {
    return readKeyPairs(texts);
  } catch (error) {
    if (!(error instanceof KeyPairError)) throw error;
    warn(error.message);
    throw new KeyPairError(`error loading private keys and certificates from: ${names.join(', ')}`);
  }
}

/** Nothing, when it can't be read: then it has no certificate in it either. */
function readText(name: string): string {
  try {
    return readFileSync(name, 'latin1');
  } catch {
    return '';
  }
}

/** What the system says of a file that could not be read. */
export function whyUnreadable(name: string): string {
  try {
    readFileSync(name);
    return 'there is nothing in it';
  } catch (error) {
    return describe(error as NodeJS.ErrnoException);
  }
}

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
};

function describe({ code = '', message }: NodeJS.ErrnoException): string {
  return TEXTS[code] ?? message;
}
