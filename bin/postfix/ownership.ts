/**
 * Who owns what, and who may write: what `postfix check` warns of, in postfix-script's words and
 * with its paths (`/etc/postfix/./main.cf`). Set-gid programs are not looked for: there are none.
 */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from '../../lib/config/configuration.ts';
import { isErrno } from '../../lib/os/error.ts';
import { lookupGroup, lookupUser } from '../../lib/os/identity.ts';

const GROUP_OR_OTHERS_WRITE = 0o022;
const ROOT = 0;

/** Directories whose files are mail_owner's. In maildrop only the directory is: anybody may write. */
const MAIL_OWNED = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming'],
  ...['private', 'public', 'saved', 'trace'],
];

/** Copies of the system's files for daemons that are chrooted. */
const COPIES = ['bin', 'etc', 'lib', 'sbin', 'usr'];

interface Found {
  readonly path: string;
  readonly stat: Stats;
}

/** One line for each thing that is not as it should be. */
export function ownershipWarnings(configuration: Configuration): string[] {
  const queue = configuration.get('queue_directory');
  const owner = configuration.get('mail_owner');
  const group = configuration.get('setgid_group');
  const uid = lookupUser(owner)?.uid ?? ROOT;
  const gid = lookupGroup(group)?.gid ?? ROOT;

  const own = (paths: readonly Found[], id: number, name: string) =>
    paths.filter(({ stat }) => stat.uid !== id).map(({ path }) => `not owned by ${name}: ${path}`);
  const writable = (paths: readonly Found[]) =>
    paths
      .filter(({ stat }) => (stat.mode & GROUP_OR_OTHERS_WRITE) !== 0)
      .map(({ path }) => `group or other writable: ${path}`);
  const withGroup = (paths: readonly Found[]) =>
    paths
      .filter(({ stat }) => stat.gid !== gid)
      .map(({ path }) => `not owned by group ${group}: ${path}`);

  const tops = [...found(`${queue}/.`), ...found(`${queue}/pid`)];
  const trees = rootTrees(configuration).flatMap((tree) => walk(`${tree}/.`));
  const data = walk(`${configuration.get('data_directory')}/.`);
  const mail = MAIL_OWNED.flatMap((name) => walk(`${queue}/${name}`));
  const doors = found(`${queue}/maildrop`);
  const exchanged = (item: Found) => item.stat.isFIFO() || item.stat.isSocket();
  return [
    ...own(tops, ROOT, 'root'),
    ...writable(tops),
    ...own(trees, ROOT, 'root'),
    ...writable(trees.flatMap(followed)),
    ...trees.filter(leavesItsDirectory).map(({ path }) => `symlink leaves directory: ${path}`),
    ...own(data, uid, owner),
    ...writable(data),
    ...own(
      mail.filter((item) => !exchanged(item)),
      uid,
      owner,
    ),
    ...own(doors, uid, owner),
    ...withGroup([...found(`${queue}/public`), ...doors]),
    ...COPIES.flatMap((name) => copyWarnings(queue, name)),
    ...walk(`${queue}/corrupt`)
      .filter(({ stat }) => stat.isFile())
      .map(({ path }) => `damaged message: ${path.slice(queue.length + 1)}`),
  ];
}

/** The configuration, and what an administrator says is ours. */
function rootTrees(configuration: Configuration): string[] {
  const shared = (['meta_directory', 'shlib_directory'] as const)
    .filter((name) => configuration.isSet(name))
    .map((name) => configuration.text(name));
  const trees = [configuration.get('daemon_directory'), ...shared, configuration.directory];
  return [...new Set(trees)].filter((tree) => tree !== 'no').sort();
}

/** A copy that differs from its original is an old one. */
function copyWarnings(queue: string, name: string): string[] {
  return walk(`${queue}/${name}`).flatMap(({ path, stat }) => {
    const original = path.slice(queue.length);
    const foreign = stat.uid === ROOT ? [] : [`not owned by root: ${path}`];
    const same = !stat.isFile() || !isFile(original) || sameContent(path, original);
    return same ? foreign : [...foreign, `${path} and ${original} differ`];
  });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function sameContent(one: string, other: string): boolean {
  return (
    statSync(one).size === statSync(other).size && readFileSync(one).equals(readFileSync(other))
  );
}

function leavesItsDirectory({ path, stat }: Found): boolean {
  return stat.isSymbolicLink() && readlinkSync(path).includes('/');
}

/** What a link leads to. One that leads nowhere is itself; one that leads in a circle is nothing. */
function followed(item: Found): Found[] {
  if (!item.stat.isSymbolicLink()) return [item];
  try {
    return [{ path: item.path, stat: statSync(item.path) }];
  } catch (error) {
    return isErrno(error, 'ENOENT') ? [item] : [];
  }
}

function found(path: string): Found[] {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? [] : [{ path, stat }];
}

/** A directory and all below it; links are not followed. What vanishes meanwhile is not there. */
function walk(path: string): Found[] {
  const top = found(path);
  if (top[0]?.stat.isDirectory() !== true || !existsSync(path)) return top;
  const below = readdirSync(path)
    .sort()
    .flatMap((name) => walk(path.endsWith('/.') ? `${path}/${name}` : join(path, name)));
  return [...top, ...below];
}
