/** Whose rights a table is made with. */
import { mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { groupsOf, lookupUser } from '../../lib/os/users.ts';

/**
 * Runs `action` with the rights of the owner of the source, when we are the superuser and the owner
 * is not: in a directory of theirs, a link could lead root's writing anywhere. Where the owner may
 * not write, they cannot have put one, and root goes on as root.
 */
export function asOwnerOf(path: string, action: () => void): void {
  const source = statSync(path, { throwIfNoEntry: false });
  if (process.geteuid?.() !== 0 || source === undefined || source.uid === 0) {
    action();
    return;
  }
  const superuser = { groups: process.getgroups?.() ?? [], gid: process.getegid?.() ?? 0 };
  const owner = lookupUser(source.uid);
  process.setgroups?.(owner === undefined ? [source.gid] : groupsOf(owner));
  process.setegid?.(source.gid);
  process.seteuid?.(source.uid);
  const become = () => {
    process.seteuid?.(0);
    process.setegid?.(superuser.gid);
    process.setgroups?.(superuser.groups);
  };
  try {
    if (mayWriteBeside(path)) {
      action();
      return;
    }
  } finally {
    become();
  }
  action();
}

/** By trying: access(2) would answer for the real user, who is the superuser. */
function mayWriteBeside(path: string): boolean {
  try {
    rmdirSync(mkdtempSync(join(dirname(path), '.postmap-')));
    return true;
  } catch {
    return false;
  }
}
