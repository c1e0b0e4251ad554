/** One address: an alias, somebody to forward to, a user, or nobody. Start here after service.ts. */
import { deliverAlias } from './alias.ts';
import type { Branch } from './branch.ts';
import { isLoop } from './delivered-to.ts';
import { forward } from './forwarding.ts';
import { bounceToOwner } from './owner-bounce.ts';
import type { Progress, Run } from './run.ts';
import { deliverUnknown } from './unknown.ts';
import { deliverToUser } from './user.ts';

/** Delivers to an address of this machine. */
export async function deliverBranch(run: Run, branch: Branch): Promise<Progress> {
  const { address } = branch.recipient;
  if (branch.illegalExtension !== undefined) {
    const text = `address with illegal extension: ${branch.illegalExtension}`;
    run.delivery.log.warn({ kind: 'text', queueId: run.request.queueId, text });
  }
  if (isLoop(run.loops, address)) {
    return bounceToOwner(run, branch, '5.4.6', `mail forwarding loop for ${address}`);
  }
  return (
    (await deliverAlias(run, branch)) ??
    (isForwarded(branch) ? forward(run, branch) : undefined) ??
    (await deliverToUser(run, branch)) ??
    (await deliverUnknown(run, branch))
  );
}

/**
 * Whether a local address gets a message of its own: somebody else maintains the list that names it
 * (so it has its own sender, and its own status), or the list is in a file. Pure.
 */
export function isForwarded({ owner, user, expansion }: Branch): boolean {
  return (owner !== undefined && owner.toLowerCase() !== user) || expansion === 'include';
}
