/** The lines of /etc/passwd and /etc/group, as the system's name service gives them. */
import { OsError } from './error.ts';
import { type Argument, addressOf, declare, nameOf, textAt } from './native.ts';
import { heldFile } from './user-database.ts';

type Lookup = (...args: readonly Argument[]) => number;
const getpwnam = declare('int getpwnam_r(const char *, void *, void *, size_t, void *)');
const getgrnam = declare('int getgrnam_r(const char *, void *, void *, size_t, void *)');

const TEXT_BYTES_FIRST = 4096;
const TEXT_BYTES_MAX = 1 << 24;
const ENTRY_BYTES = 48;

/** `root:x:0:0:root:/root:/bin/bash`. @throws {OsError} when who is there is not known */
export function passwdLine(name: string): string | undefined {
  const file = heldFile('passwd');
  if (file !== undefined) return file.find(name)?.join(':');
  return lookup(getpwnam, 'look up user', name, (entry) =>
    [
      textAt(entry, 0),
      textAt(entry, 8),
      entry.readUInt32LE(16),
      entry.readUInt32LE(20),
      textAt(entry, 24),
      textAt(entry, 32),
      textAt(entry, 40),
    ].join(':'),
  );
}

/** `adm:x:4:syslog,ann`. @throws {OsError} when what there is is not known */
export function groupLine(name: string): string | undefined {
  const file = heldFile('group');
  if (file !== undefined) return file.find(name)?.join(':');
  return lookup(getgrnam, 'look up group', name, (entry, texts) =>
    [
      textAt(entry, 0),
      textAt(entry, 8),
      entry.readUInt32LE(16),
      membersAt(entry, texts).join(','),
    ].join(':'),
  );
}

/** The list that the entry points to: addresses of names, and a null address at its end. */
function membersAt(entry: Buffer, texts: Buffer): string[] {
  const members: string[] = [];
  const list = Number(entry.readBigUInt64LE(24) - addressOf(texts));
  // The list lies in the room we gave; anywhere else we do not look.
  for (let at = list; at >= 0 && at + 8 <= texts.length; at += 8) {
    if (texts.readBigUInt64LE(at) === 0n) break;
    members.push(textAt(texts, at));
  }
  return members;
}

function lookup(
  call: Lookup,
  what: string,
  name: string,
  read: (entry: Buffer, texts: Buffer) => string,
): string | undefined {
  if (name === '' || name.includes('\0')) return undefined;
  const entry = Buffer.alloc(ENTRY_BYTES);
  const found = Buffer.alloc(8);
  for (let room = TEXT_BYTES_FIRST; ; room *= 4) {
    const texts = Buffer.alloc(room);
    const errno = call(name, entry, texts, room, found);
    const code = errno === 0 ? '' : nameOf(errno);
    if ((code === 'ERANGE' && room < TEXT_BYTES_MAX) || code === 'EINTR') continue;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    if (code !== '') throw new OsError(what, name, errno);
    return found.readBigUInt64LE() === 0n ? undefined : read(entry, texts);
  }
}
