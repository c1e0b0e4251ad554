/** Recognises the tables of another mail system, so that the administrator hears what to do. */
import { readSync } from 'node:fs';

const HEAD_BYTES = 32;
const SQLITE_MAGIC = 'SQLite format 3\0';
const BERKELEY_MAGICS: ReadonlyMap<number, string> = new Map([
  [0x0006_1561, 'a Berkeley DB hash'],
  [0x0005_3162, 'a Berkeley DB btree'],
]);
const LMDB_MAGIC = 0xbeef_c0de;
const GDBM_MAGICS: ReadonlySet<number> = new Set([0x13_57_9a_ce, 0x13_57_9a_cd, 0x13_57_9a_cf]);

/** What the open file is, when it is not SQLite: `a Berkeley DB hash`. */
export function foreignFormat(fd: number): string | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  const length = readSync(fd, head, 0, HEAD_BYTES, 0);
  if (head.toString('latin1', 0, SQLITE_MAGIC.length) === SQLITE_MAGIC) return undefined;
  if (length === 0) return 'an empty file';
  const berkeley =
    BERKELEY_MAGICS.get(head.readUInt32LE(12)) ?? BERKELEY_MAGICS.get(head.readUInt32BE(12));
  if (berkeley !== undefined) return berkeley;
  if (head.readUInt32LE(16) === LMDB_MAGIC) return 'an LMDB database';
  if (GDBM_MAGICS.has(head.readUInt32LE(0))) return 'a GNU dbm file';
  return 'of an unknown format';
}
