/** `:include:` files. */
import { lookupUser } from '../../lib/os/identity.ts';
import type { Branch } from './branch.ts';
import { type Destination, parseDestinationFile } from './destination.ts';
import { identityOf, type Progress, type Run } from './run.ts';

/** A mailing list of a hundred thousand addresses has less. */
export const LIST_BYTES_MAX = 16 * 1024 * 1024;

const ROOT = { uid: 0, gid: 0 };
const BAD = 'mail system configuration error';

/** Delivers to the addresses of a list in a file. */
export async function expandInclude(
  run: Run,
  branch: Branch,
  path: string,
  deliver: (branch: Branch, list: Iterable<Destination>) => Promise<Progress>,
): Promise<Progress> {
  if (run.duplicates.isRepeated('include', branch.rights?.uid ?? 0, path)) return 'done';
  const refuse = (why: string) => {
    run.warn(why);
    return run.failed(branch, '5.3.5', BAD);
  };
  if (!path.startsWith('/')) return refuse(`:include:${path} uses a relative path`);
  // Whoever may name the file may read it: the owner of the list that does.
  const identity = identityOf(branch.rights ?? ownRights());
  const work = { kind: 'include', path, bytesMax: LIST_BYTES_MAX } as const;
  const { result } = await run.local.work.run([{ identity, work }]);
  if (result?.kind === 'failed') return run.failed(branch, result.status, result.text);
  if (result?.kind === 'ignored') return refuse(result.text);
  if (result?.kind !== 'list') return run.failed(branch, '4.3.0', `cannot read ${path}`);

  const rights = includeRights(branch, result.uid);
  if (rights === 'unknown') return refuse(`${path}: cannot find :include: file owner`);
  const named: Branch = {
    ...branch,
    expandedFrom: branch.local,
    expansion: 'include',
    rights,
    // From here on somebody maintains the list: its addresses are forwarded to.
    owner: branch.owner ?? branch.recipient.address,
    unmatched: run.settings.propagate.has('include') ? branch.unmatched : undefined,
  };
  run.trail.push(`:include:${path} lists destinations`);
  const lineBytes = run.settings.parameters.line_length_limit;
  return deliver(named, parseDestinationFile(result.text, { lineBytes }));
}

/** In an instance without root everything is read as the user it runs as. */
function ownRights() {
  const uid = process.geteuid?.() ?? 0;
  return uid === 0 ? ROOT : { uid, gid: process.getegid?.() ?? 0 };
}

/**
 * The file's owner, when nobody else's rights are in force: a user who keeps a list for a root-owned
 * alias must not get hold of the default account.
 */
function includeRights(branch: Branch, uid: number): Branch['rights'] | 'unknown' {
  if ((branch.rights !== undefined && branch.rights.uid !== 0) || uid === 0) return branch.rights;
  return lookupUser(uid) ?? 'unknown';
}
