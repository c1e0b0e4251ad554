/** /etc/shadow, as the system's name service gives it: to root only. */
import { OsError } from './error.ts';
import { declare, nameOf, textAt } from './native.ts';

/** One user's password. Days since the epoch; negative: not set. */
export interface ShadowEntry {
  readonly hash: string;
  readonly changedDay: number;
  /** The password is good for so many days. */
  readonly maximumDays: number;
  /** The account ends. */
  readonly expiresDay: number;
}

const getspnam = declare(
  'int getspnam_r(const char *name, void *entry, void *texts, size_t room, void *found)',
);
const ENTRY_BYTES = 72;
const TEXT_BYTES_FIRST = 4096;
const TEXT_BYTES_MAX = 1 << 20;

/** @throws {OsError} when who is there is not known */
export function lookupShadow(name: string): ShadowEntry | undefined {
  if (name === '' || name.includes('\0')) return undefined;
  const entry = Buffer.alloc(ENTRY_BYTES);
  const found = Buffer.alloc(8);
  for (let room = TEXT_BYTES_FIRST; ; room *= 4) {
    const texts = Buffer.alloc(room);
    const errno = getspnam(name, entry, texts, room, found);
    const code = errno === 0 ? '' : nameOf(errno);
    if ((code === 'ERANGE' && room < TEXT_BYTES_MAX) || code === 'EINTR') continue;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    if (code !== '') throw new OsError('look up the password of', name, errno);
    if (found.readBigUInt64LE() === 0n) return undefined;
    const days = (offset: number) => Number(entry.readBigInt64LE(offset));
    return {
      hash: textAt(entry, 8),
      changedDay: days(16),
      maximumDays: days(32),
      expiresDay: days(56),
    };
  }
}
