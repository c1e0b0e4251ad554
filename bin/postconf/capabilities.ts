/** What this build can do: `-m`, `-l`, `-a`, `-A`, `-T`. */

/** The lookup tables of lib/table; kept here because postconf opens none. */
const TABLE_TYPES = [
  'btree',
  'cdb',
  'cidr',
  'dbm',
  'environ',
  'fail',
  'hash',
  'inline',
  'internal',
  'lmdb',
  'pcre',
  'pipemap',
  'proxy',
  'randmap',
  'regexp',
  'sdbm',
  'static',
  'texthash',
  'unionmap',
  'unix',
];

const LISTS: Readonly<Record<string, readonly string[]>> = {
  a: ['dovecot'],
  A: ['cyrus'],
  l: ['flock', 'fcntl', 'dotlock'],
  m: TABLE_TYPES,
};

const KEY_ALGORITHMS = ['dsa', 'ecdsa', 'rsa'];

export function listCapability(flag: string): readonly string[] {
  return LISTS[flag] ?? [];
}

/** The lines of `-T`; undefined for a word it does not know. */
export function describeTls(mode: string): readonly string[] | undefined {
  if (mode === 'public-key-algorithms') return KEY_ALGORITHMS;
  if (mode === 'compile-version' || mode === 'run-version') {
    return [`OpenSSL ${process.versions.openssl}`];
  }
  return undefined;
}
