/** What this build can do: `-m`, `-l`, `-a`, `-A`, `-T`. */

import { opensslVersion } from '../../lib/os/openssl.ts';

const LISTS: Readonly<Record<string, readonly string[]>> = {
  a: ['cyrus', 'dovecot', 'posthaste'],
  A: ['cyrus'],
  l: ['flock', 'fcntl', 'dotlock'],
};

const KEY_ALGORITHMS = ['dsa', 'ecdsa', 'rsa'];

export async function listCapability(flag: string): Promise<readonly string[]> {
  if (flag !== 'm') return LISTS[flag] ?? [];
  // Loaded for this alone.
  const { tableTypes } = await import('../../lib/table/table.ts');
  return tableTypes();
}

/** The lines of `-T`; undefined for a word it does not know. */
export function describeTls(mode: string): readonly string[] | undefined {
  if (mode === 'public-key-algorithms') return KEY_ALGORITHMS;
  if (mode === 'compile-version' || mode === 'run-version') {
    // Node brings along what it was compiled with.
    return [opensslVersion()];
  }
  return undefined;
}
