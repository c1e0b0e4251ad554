/** Being somebody else: for good (daemons that give root up), or for one piece of file work. */
import { access } from 'node:fs';
import { OsError } from './error.ts';
import { declare } from './native.ts';
import { type Group, groupsOf, lookupUser, type User } from './users.ts';

export { type Group, groupsOf, lookupGroup, lookupUser, type User } from './users.ts';

/** This thread acts under an identity it can't leave: it must do nothing more. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
}

/** Whose rights file work is done with. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/**
 * Gives root up for good: group, other groups, user. Nothing of it can be undone.
 *
 * @param groups beside the group; none unless given
 * @throws {Error} when the process could become root again: it must exit
 */
export function becomeForever(
  user: User | string | number,
  { group, groups = [] }: { readonly group?: Group; readonly groups?: readonly number[] } = {},
): void {
  const { uid, gid } = typeof user === 'object' ? user : userNamed(user);
  const { setgroups, setgid, setuid, getuid, geteuid } = process;
  if (!setgroups || !setgid || !setuid || !getuid || !geteuid) throw new Error('no user ids here');
  const wanted = group?.gid ?? gid;
  setgroups([...new Set([wanted, ...groups])]);
  setgid(wanted);
  setuid(uid);
  if (getuid() !== uid || geteuid() !== uid || (uid !== 0 && canBecomeRoot())) {
    throw new IdentityError(`could not become user ${uid} for good`);
  }
}

function userNamed(who: string | number): User {
  const user = lookupUser(who);
  if (user === undefined) throw new Error(`unknown user: ${who}`);
  return user;
}

function canBecomeRoot(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false;
  }
}

const setfsuid = declare('int setfsuid(uint32_t uid)');
const setfsgid = declare('int setfsgid(uint32_t gid)');
const syscall = declare('long syscall(long number, size_t count, void *list)');
const EPERM = 1;
/** libc's setgroups() changes all threads; the bare system call changes the one it is made in. */
const SETGROUPS = { x64: 116, arm64: 159 };
/** An id nobody can have: asking for it changes nothing and tells the present one. */
const NOBODY_AT_ALL = 0xffff_ffff;

/**
 * Who this thread was before it assumed an identity. One variable serves: a worker thread loads its
 * own copy of this module, so it is per thread, as the identity itself is.
 */
let before: Identity | undefined;

/**
 * A thread inherits the identity of the one that starts it, and Node starts its thread pool when it
 * is first used: were that inside the work, the pool would be somebody else for good.
 */
function startThreadPool(): void {
  if (!threadPoolStarted) access('/', () => {});
  threadPoolStarted = true;
}

let threadPoolStarted = false;

/**
 * Gives this thread, and no other, somebody's rights to files. Only for synchronous work that ends
 * with `restoreIdentity()`: whatever else runs on the thread would run with these rights.
 *
 * @throws {OsError} when that is not allowed; the thread's identity is then as it was
 */
export function assumeIdentity(identity: Identity): void {
  if (before !== undefined) throw new IdentityError('this thread already acts for somebody');
  const previous = currentIdentity();
  if (!mayChange(previous)) {
    if (identity.uid === previous.uid) return;
    throw new OsError('setfsuid', `user ${identity.uid}`, EPERM);
  }
  startThreadPool();
  before = previous;
  try {
    become(identity);
  } catch (error) {
    restoreIdentity();
    throw error;
  }
}

/**
 * Gives this thread its own rights back. Harmless when it has them.
 *
 * @throws {IdentityError} when that fails: end the thread
 */
export function restoreIdentity(): void {
  if (before === undefined) return;
  try {
    // The user first: only root's rights allow the rest.
    setfsuid(before.uid);
    become(before);
  } catch (error) {
    throw new IdentityError('this thread can not get its own rights back', { cause: error });
  }
  before = undefined;
}

/**
 * Does synchronous file work with a user's rights, on this thread only: nothing else of the process
 * notices. A user who is named has all of their groups.
 */
export function withEffectiveUser<T>(who: Identity | User | string, action: () => T): T {
  assumeIdentity(identityOf(who));
  try {
    return action();
  } finally {
    restoreIdentity();
  }
}

function identityOf(who: Identity | User | string): Identity {
  if (typeof who !== 'string' && 'groups' in who) return who;
  const user = typeof who === 'string' ? userNamed(who) : who;
  return { uid: user.uid, gid: user.gid, groups: groupsOf(user) };
}

function become({ uid, gid, groups }: Identity): void {
  const list = Buffer.alloc(Math.max(groups.length, 1) * 4);
  groups.forEach((group, at) => {
    list.writeUInt32LE(group, at * 4);
  });
  const number = SETGROUPS[process.arch as keyof typeof SETGROUPS];
  if (Number(syscall(number, groups.length, list)) < 0) throw new OsError('setgroups', `${groups}`);
  setfsgid(gid);
  setfsuid(uid);
  // These two report no errors: ask who we are.
  if (setfsgid(NOBODY_AT_ALL) !== gid) throw new OsError('setfsgid', `group ${gid}`, EPERM);
  if (setfsuid(NOBODY_AT_ALL) !== uid) throw new OsError('setfsuid', `user ${uid}`, EPERM);
}

function currentIdentity(): Identity {
  return {
    uid: setfsuid(NOBODY_AT_ALL),
    gid: setfsgid(NOBODY_AT_ALL),
    groups: process.getgroups?.() ?? [],
  };
}

function mayChange({ uid }: Identity): boolean {
  return uid === 0;
}
