/** Delivery to a user of this machine: .forward, then the mailbox. */

import type { WorkStep } from '../../lib/delivery/file-work.ts';
import { errorText } from '../../lib/os/error.ts';
import { lookupUser, type User } from '../../lib/os/identity.ts';
import { deliveredBy } from './alias.ts';
import type { Branch } from './branch.ts';
import { parseDestinationFile } from './destination.ts';
import { deliverDestinations } from './expand.ts';
import { reportExpansion } from './expansion-report.ts';
import { type ForwardPath, forwardPaths } from './forward-file.ts';
import { withoutSuccess } from './forwarding.ts';
import { LIST_BYTES_MAX } from './include.ts';
import type { ListResult } from './list-file.ts';
import { deliverToMailbox, type MailboxPlan, planMailbox, reportFile } from './mailbox.ts';
import { actingTrouble, identityOf, type Progress, type Run } from './run.ts';
import type { Step } from './steps.ts';

/** @returns `undefined` when there is no such user, and nobody who takes mail for all */
export async function deliverToUser(run: Run, branch: Branch): Promise<Progress | undefined> {
  let user: User | undefined;
  try {
    user = lookupUser(branch.user);
  } catch (error) {
    run.warn(`error looking up passwd info for ${branch.user}: ${errorText(error)}`);
    return run.failed(branch, '4.0.0', 'user lookup error');
  }
  const plan = await planMailbox(run, branch, user);
  if (user === undefined || actingTrouble(user) !== undefined) {
    return deliverToMailbox(run, branch, plan);
  }
  return (await deliverAtHome(run, branch, user, plan)) ?? deliverToMailbox(run, branch, plan);
}

/**
 * Looks for a .forward file, and when there is none, delivers to the mailbox right away: one visit
 * of a thread for most mail.
 *
 * @returns `undefined` when the mailbox is still to be delivered to
 */
async function deliverAtHome(
  run: Run,
  branch: Branch,
  user: User,
  plan: MailboxPlan,
): Promise<Progress | undefined> {
  const paths = forwardPaths(run.settings.parameters, branch, user);
  const before = stepsBefore(run, user, paths);
  const mailbox = plan.kind === 'file' && !run.isProbe && isFirst(run, branch) ? [plan.step] : [];
  if (before.length + mailbox.length === 0) return undefined;
  const { step, result } = await run.local.work.run([...before, ...mailbox]);
  if (result === undefined) return undefined;
  if (plan.kind === 'file' && step === before.length) {
    run.duplicates.isRepeated('mailbox', branch.local);
    return reportFile(run, branch, plan, result);
  }
  switch (result.kind) {
    case 'list':
      return deliverList(run, branch, user, { ...result, paths });
    case 'ignored':
      run.warn(result.text);
      return undefined;
    case 'failed':
      return run.failed(branch, result.status, result.text);
    default:
      return undefined;
  }
}

function isFirst(run: Run, branch: Branch): boolean {
  return !run.duplicates.has('mailbox', branch.local);
}

function stepsBefore(run: Run, user: User, paths: readonly ForwardPath[]): WorkStep<Step>[] {
  const identity = identityOf(user);
  const steps: WorkStep<Step>[] = [];
  if (run.settings.parameters.require_home_directory) {
    steps.push({ identity, work: { kind: 'home', path: user.home } });
  }
  if (paths.length > 0) {
    const names = paths.map(({ path }) => path);
    const bytesMax = LIST_BYTES_MAX;
    steps.push({ identity, work: { kind: 'forward', paths: names, uid: user.uid, bytesMax } });
  }
  return steps;
}

type FoundList = Extract<ListResult, { kind: 'list' }> & { readonly paths: readonly ForwardPath[] };

/** @returns `undefined` when the file is empty, or leads to itself: the mailbox it is */
async function deliverList(
  run: Run,
  branch: Branch,
  user: User,
  found: FoundList,
): Promise<Progress | undefined> {
  const { path, text } = found;
  if (run.isVerification) return run.sent(branch, `forward via file: ${path}`);
  if (run.duplicates.isRepeated('forward', path)) {
    return run.duplicates.has('forward-done', path) ? 'done' : undefined;
  }
  const lineBytes = run.settings.parameters.line_length_limit;
  const destinations = [...parseDestinationFile(text, { lineBytes })];
  run.trail.push(`forward_path: ${path} names ${destinations.length} destinations`);
  if (destinations.length === 0) return undefined;
  const usesExtension = found.paths.some((each) => each.path === path && each.usesExtension);
  const propagates = run.settings.propagate.has('forward') && !usesExtension;
  const named: Branch = {
    ...branch,
    rights: user,
    expansion: 'forward',
    expandedFrom: branch.local,
    // Mail for others is forwarded, and lists in files do not change the sender.
    owner: branch.user,
    delivered: deliveredBy(run, branch),
    unmatched: propagates ? branch.suffix : undefined,
    recipient: withoutSuccess(branch),
  };
  const progress = await deliverDestinations(run, named, destinations);
  run.duplicates.isRepeated('forward-done', path);
  if (progress === 'done') await reportExpansion(run, branch, 'expanded');
  return progress;
}
