/** Delivery to what an alias stands for. Postfix: aliases(5). */
import { quote, unquote } from '../../lib/address/address.ts';
import { lookupUser, type User } from '../../lib/os/identity.ts';
import { TableError } from '../../lib/table/table.ts';
import { decideAlias, type FoundAlias, findAlias } from './alias-lookup.ts';
import { describeAliasLoop, findAliasLoop } from './alias-loop.ts';
import type { Branch } from './branch.ts';
import { parseDestinations } from './destination.ts';
import { deliverDestinations } from './expand.ts';
import { reportExpansion } from './expansion-report.ts';
import { withoutSuccess } from './forwarding.ts';
import type { Progress, Run } from './run.ts';

/** @returns `undefined` when the address is no alias */
export async function deliverAlias(run: Run, branch: Branch): Promise<Progress | undefined> {
  const { settings } = run.local;
  const { aliases } = run.tables;
  try {
    const decision = await decideAlias(aliases, branch, settings.propagate.has('alias'));
    if (decision.kind === 'none') return undefined;
    if (decision.kind === 'loop') {
      const text = `alias database loop for ${decision.name}`;
      run.warn(text);
      return await run.failed(branch, '5.4.6', text);
    }
    return await expandAlias(run, branch, decision.alias, decision.unmatched);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    run.warn(`alias_maps: lookup of '${branch.local}' failed: ${error.message}`);
    return run.failed(branch, '4.3.0', 'alias database unavailable');
  }
}

async function expandAlias(
  run: Run,
  branch: Branch,
  alias: FoundAlias,
  unmatched: Branch['suffix'],
): Promise<Progress> {
  run.trail.push(`alias_maps: ${alias.table.name} has "${alias.name}": ${alias.value}`);
  if (run.isVerification) return run.sent(branch, `aliased to ${alias.value}`);
  // Whoever named this alias in another has looked already.
  const loop = branch.expansion === 'alias' ? undefined : await findAliasLoop(run, branch);
  if (loop !== undefined) {
    const text = `alias database loop for ${describeAliasLoop(loop)}`;
    run.warn(text);
    return run.failed(branch, '4.4.6', text);
  }
  const rights = aliasRights(alias);
  if (rights === 'unknown') {
    run.warn(`cannot find alias database owner for ${alias.table.name}`);
    return run.failed(branch, '4.3.0', 'cannot find alias database owner');
  }
  const owner = await ownerOf(run, alias.name);
  const named: Branch = {
    ...branch,
    expandedFrom: alias.name,
    expansion: 'alias',
    rights,
    unmatched,
    delivered: deliveredBy(run, branch),
    ...ownership(run, branch, owner),
    recipient: ownedRecipient(branch, owner),
  };
  const progress = await deliverDestinations(run, named, parseDestinations(alias.value));
  if (progress === 'done') {
    await reportExpansion(run, branch, owner === undefined ? 'expanded' : 'delivered');
  }
  return progress;
}

/** Postfix: frozen_delivered_to. */
export function deliveredBy(run: Run, branch: Branch): string {
  const { frozen_delivered_to: frozen } = run.settings.parameters;
  return frozen ? branch.delivered : branch.recipient.address;
}

function aliasRights({ ownerUid }: FoundAlias): User | undefined | 'unknown' {
  return ownerUid === 0 ? undefined : (lookupUser(ownerUid) ?? 'unknown');
}

/** The list's owner gets its bounces; without one whoever was to get them still does. */
function ownership(run: Run, branch: Branch, owner: string | undefined) {
  if (owner !== undefined) return { owner, sender: owner };
  const reset = run.settings.parameters.reset_owner_alias;
  return { owner: reset ? undefined : branch.owner, sender: branch.sender };
}

/** What is known of the original recipient is not passed on to the members of an owned list. */
function ownedRecipient(branch: Branch, owner: string | undefined): Branch['recipient'] {
  const recipient = withoutSuccess(branch);
  return owner === undefined ? recipient : { ...recipient, original: '', dsnOriginal: '' };
}

/** The address of `owner-name`, when there is such an alias. */
export async function ownerOf(run: Run, name: string): Promise<string | undefined> {
  const { parameters } = run.settings;
  if (!parameters.owner_request_special) return undefined;
  const ownerName = `owner-${name}`;
  const found = await findAlias(run.tables.aliases, ownerName, true);
  if (found === undefined) return undefined;
  const address = parameters.expand_owner_alias ? found.value : quote(ownerName);
  return unquote(await run.local.rewrite.rewrite('local', address));
}
