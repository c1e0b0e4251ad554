/** crypt(3): is this the password that a hash was made of? All that libcrypt knows, yescrypt included. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Gate } from '../async/gate.ts';
import { declare, declareSlow } from './native.ts';

const LIBRARY = 'libcrypt.so.1';
const RTLD_NOW_GLOBAL = 0x102;
const dlopen = declare<bigint | null>('void *dlopen(const char *path, int flags)');
const cryptText = declareSlow<string | null>(
  'const char *crypt_r(const char *key, const char *setting, void *data)',
);
/** Its `struct crypt_data`. */
const DATA_BYTES = 32_768;
/** What fails starts with this, and is no hash. */
const FAILURE = '*';
/** What a hash starts with on a machine of today: yescrypt, and any salt. */
export const USUAL_SETTING = '$y$j9T$posthastenobodysal/1$';
/** Hashing is all CPU; half of Node's four threads stay for files. */
const gate = new Gate(Math.min(2, availableParallelism()));

/** The library is not there, or has more to do than it will get done. */
export class CryptError extends Error {
  override readonly name = 'CryptError';
}

/** Those who wait longer than some seconds have given up. */
const WAITING_MAX = 200;
let isLoaded = false;

/**
 * Hashes a password as a hash says, and compares in constant time.
 *
 * @throws {CryptError} when it can't be tried now
 */
export async function isPasswordOf(hash: string, password: string): Promise<boolean> {
  load();
  if (gate.waiting >= WAITING_MAX) throw new CryptError('too many passwords at once');
  const data = Buffer.alloc(DATA_BYTES);
  try {
    const found = (await gate.through(() => cryptText(password, hash, data))) ?? FAILURE;
    const isHash = !found.startsWith(FAILURE) && !hash.startsWith(FAILURE);
    // Nobody shall learn from how long it takes that an account is locked.
    if (!isHash) await gate.through(() => cryptText(password, USUAL_SETTING, data));
    return timingSafeEqual(digest(found), digest(hash)) && isHash;
  } finally {
    // It keeps what it computed with.
    data.fill(0);
  }
}

function load(): void {
  if (isLoaded) return;
  if (!dlopen(LIBRARY, RTLD_NOW_GLOBAL)) throw new CryptError(`${LIBRARY} is not installed`);
  isLoaded = true;
}

/** Of the same length, whatever it is of. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
