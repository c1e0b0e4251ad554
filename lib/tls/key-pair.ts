/**
 * Certificates and the keys that belong to them, from PEM text: checked here, so that a broken pair is
 * known when a daemon starts, and no TLS context is built before somebody needs it.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type Signature, signatureOf } from './signature.ts';

/** One certificate with what vouches for it, and its key; PEM. */
export interface KeyPair {
  readonly chain: string;
  readonly key: string;
  readonly signature: Signature;
}

/** A certificate or a key can't be used; the text is what Postfix says then. */
export class KeyPairError extends Error {
  override readonly name = 'KeyPairError';
}

/** One object of a PEM file. */
interface Block {
  readonly kind: 'certificate' | 'key' | 'parameters';
  readonly text: string;
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;
/** More than any chain needs. */
const BLOCKS_MAX = 1000;

/** Where text came from, as messages name it. */
export interface PemText {
  /** The file. */
  readonly name: string;
  readonly text: string;
}

/**
 * The pair of one certificate parameter and its key parameter.
 *
 * @param kind `RSA`: what the parameters are for, in Postfix's words
 * @throws {KeyPairError}
 */
export function readKeyPair(kind: string, certificates: PemText, key: PemText): KeyPair {
  const chain = blocksOf(certificates.text).filter((block) => block.kind === 'certificate');
  const leaf = chain[0];
  const certificate = leaf && attempt(() => new X509Certificate(leaf.text));
  if (leaf === undefined || certificate === undefined) {
    throw new KeyPairError(`cannot get ${kind} certificate from file "${certificates.name}"`);
  }
  const found = blocksOf(key.text).find((block) => block.kind === 'key');
  const parsed = found && attempt(() => createPrivateKey(found.text));
  if (found === undefined || parsed === undefined) {
    throw new KeyPairError(`cannot get ${kind} private key from file "${key.name}"`);
  }
  if (!belongs(certificate, parsed)) {
    throw new KeyPairError(
      `${kind} private key in ${key.name} does not match public key in ${certificates.name}`,
    );
  }
  return { chain: joined(chain), key: found.text, signature: signatureOf(parsed) };
}

/**
 * The pairs of chain files: each key, and after it its certificate and what vouches for that. They
 * may be spread over several files.
 *
 * @throws {KeyPairError}
 */
export function readKeyPairs(files: readonly PemText[]): KeyPair[] {
  const pairs: KeyPair[] = [];
  let key: { block: Block; parsed: KeyObject; at: number; name: string } | undefined;
  let chain: Block[] = [];
  const finish = () => {
    if (key === undefined) return;
    if (chain.length === 0) {
      throw new KeyPairError(`No certs for key at index ${key.at} in ${key.name}`);
    }
    pairs.push({ chain: joined(chain), key: key.block.text, signature: signatureOf(key.parsed) });
    chain = [];
  };
  for (const { name, text } of files) {
    let at = 0;
    for (const block of blocksOf(text)) {
      at += 1;
      if (block.kind === 'key') {
        if (key !== undefined && chain.length === 0) {
          const after = `error loading certificate chain: key at index ${key.at} in ${key.name}`;
          throw new KeyPairError(`${after} not followed by a certificate`);
        }
        finish();
        const parsed = attempt(() => createPrivateKey(block.text));
        if (parsed === undefined) {
          throw new KeyPairError(
            `error loading private key (PEM object number ${at}) from ${name}`,
          );
        }
        key = { block, parsed, at, name };
      } else if (block.kind === 'certificate') {
        const certificate = attempt(() => new X509Certificate(block.text));
        if (certificate === undefined) {
          throw new KeyPairError(
            `error loading certificate (PEM object number ${at}) from ${name}`,
          );
        }
        if (key === undefined) {
          throw new KeyPairError(`error loading chain from ${name}: key not first`);
        }
        if (chain.length === 0 && !belongs(certificate, key.parsed)) {
          throw new KeyPairError(
            `key at index ${key.at} in ${key.name} does not match next certificate`,
          );
        }
        chain.push(block);
      }
    }
    if (at === 0) throw new KeyPairError(`No PEM data in ${name}`);
  }
  finish();
  if (pairs.length === 0) throw new KeyPairError(`No private key found in ${files.at(-1)?.name}`);
  return pairs;
}

/** The certificates in a text, each as PEM; those that can't be read are left out. */
export function certificatesIn(text: string): string[] {
  return blocksOf(text)
    .filter(({ kind, text }) => kind === 'certificate' && attempt(() => new X509Certificate(text)))
    .map((block) => block.text);
}

function blocksOf(text: string): Block[] {
  const found: Block[] = [];
  for (const [block, label = ''] of text.matchAll(PEM)) {
    if (found.length === BLOCKS_MAX) break;
    if (label.endsWith('PRIVATE KEY')) found.push({ kind: 'key', text: block });
    else if (label.endsWith('CERTIFICATE')) found.push({ kind: 'certificate', text: block });
    else found.push({ kind: 'parameters', text: block });
  }
  return found;
}

function belongs(certificate: X509Certificate, key: KeyObject): boolean {
  return attempt(() => certificate.checkPrivateKey(key)) ?? false;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

const joined = (blocks: readonly Block[]) => blocks.map(({ text }) => `${text}\n`).join('');
