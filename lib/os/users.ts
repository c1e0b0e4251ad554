/** Who there is: users and groups, as the system's name service knows them. */
import { OsError } from './error.ts';
import { type Argument, addressOf, declare, nameOf, textAt } from './native.ts';
import { type Entry, heldFile } from './user-database.ts';

/** One user of the system. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
  readonly gecos: string;
}

/** One group of the system. */
export interface Group {
  readonly name: string;
  readonly gid: number;
}

type Lookup = (...args: readonly Argument[]) => number;
const getpwnam = declare('int getpwnam_r(const char *, void *, void *, size_t, void *)');
const getpwuid = declare('int getpwuid_r(uint32_t, void *, void *, size_t, void *)');
const getgrnam = declare('int getgrnam_r(const char *, void *, void *, size_t, void *)');
const getgrgid = declare('int getgrgid_r(uint32_t, void *, void *, size_t, void *)');
const getgrouplist = declare('int getgrouplist(const char *, uint32_t, void *, void *)');

/** Room for the texts of one entry; a group may have many members. */
const TEXT_BYTES_FIRST = 4096;
const TEXT_BYTES_MAX = 1 << 24;
const ENTRY_BYTES = 48;
const GROUPS_MAX = 65_536;

/**
 * Looks a user up by name or number.
 *
 * @throws {OsError} when the name service is in trouble: who is there is not known
 */
export function lookupUser(who: string | number): User | undefined {
  const file = heldFile('passwd');
  if (file !== undefined) return userOf(file.find(who));
  const call: Lookup = typeof who === 'number' ? getpwuid : getpwnam;
  return lookup(call, 'look up user', who, (entry) => ({
    name: textAt(entry, 0),
    uid: entry.readUInt32LE(16),
    gid: entry.readUInt32LE(20),
    gecos: textAt(entry, 24),
    home: textAt(entry, 32),
    shell: textAt(entry, 40),
  }));
}

/** Looks a group up by name or number. */
export function lookupGroup(which: string | number): Group | undefined {
  const file = heldFile('group');
  if (file !== undefined) return groupOf(file.find(which));
  const call: Lookup = typeof which === 'number' ? getgrgid : getgrnam;
  return lookup(call, 'look up group', which, (entry) => ({
    name: textAt(entry, 0),
    gid: entry.readUInt32LE(16),
  }));
}

function userOf(entry: Entry | undefined): User | undefined {
  if (entry === undefined) return undefined;
  const [name = '', , uid, gid, gecos = '', home = '', shell = ''] = entry;
  return { name, uid: Number(uid), gid: Number(gid), gecos, home, shell };
}

function groupOf(entry: Entry | undefined): Group | undefined {
  return entry && { name: entry[0] ?? '', gid: Number(entry[2]) };
}

/** All groups of a user, the primary one first. */
export function groupsOf(user: User): number[] {
  const count = Buffer.alloc(4);
  for (let room = 64; room <= GROUPS_MAX; room *= 4) {
    const list = Buffer.alloc(room * 4);
    count.writeInt32LE(room);
    if (getgrouplist(user.name, user.gid, list, count) >= 0) {
      return Array.from({ length: count.readInt32LE() }, (_, at) => list.readUInt32LE(at * 4));
    }
  }
  throw new Error(`user ${user.name} is in more than ${GROUPS_MAX} groups`);
}

function lookup<Entry>(
  call: Lookup,
  what: string,
  key: string | number,
  read: (entry: Buffer) => Entry,
): Entry | undefined {
  if (typeof key === 'string' && (key === '' || key.includes('\0'))) return undefined;
  const entry = Buffer.alloc(ENTRY_BYTES);
  const found = Buffer.alloc(8);
  for (let room = TEXT_BYTES_FIRST; ; room *= 4) {
    const texts = Buffer.alloc(room);
    const errno = call(key, entry, texts, room, found);
    const code = errno === 0 ? '' : nameOf(errno);
    if (code === 'ERANGE' && room < TEXT_BYTES_MAX) continue;
    if (code === 'EINTR') continue;
    // Name services report a missing entry in several ways.
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    if (code !== '') throw new OsError(what, String(key), errno);
    if (found.readBigUInt64LE() === 0n) return undefined;
    // Reading the address last keeps the texts from being collected before they are copied.
    const value = read(entry);
    addressOf(texts);
    return value;
  }
}
