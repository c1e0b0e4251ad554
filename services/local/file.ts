/** Delivery to a file that an alias or a .forward file names. */

import type { Branch } from './branch.ts';
import { type FilePlan, mailboxDelivery, maildirPlan, reportFile } from './mailbox.ts';
import { bounceToOwner } from './owner-bounce.ts';
import { actingTrouble, identityOf, type Progress, type Run } from './run.ts';

/** Delivers to `/file/name`, or to the Maildir `/directory/`. */
export async function deliverToFile(run: Run, branch: Branch, path: string): Promise<Progress> {
  const { settings } = run;
  if (run.duplicates.isRepeated('file', branch.rights?.uid ?? 0, path)) return 'done';
  if (!settings.filesFrom.has(branch.expansion ?? 'alias')) {
    return bounceToOwner(run, branch, '5.7.1', 'mail to file is restricted');
  }
  const isMaildir = path.endsWith('/');
  if (run.isProbe) {
    return run.sent(branch, isMaildir ? 'delivers to maildir' : `delivers to file: ${path}`);
  }
  // Root's files are nobody's business: whoever can write an alias must not write to them.
  const user =
    branch.rights === undefined || branch.rights.uid === 0 ? settings.defaultUser : branch.rights;
  const trouble = actingTrouble(user);
  if (trouble !== undefined) return run.failed(branch, '4.3.0', trouble);
  const identity = identityOf(user);
  const plan: FilePlan = isMaildir
    ? maildirPlan(run, branch, identity, path)
    : {
        kind: 'file',
        format: 'mailbox',
        step: {
          identity,
          work: { kind: 'mailbox', ...mailboxDelivery(run, branch, path), dotlockMayFail: true },
        },
        trouble: `cannot append message to file ${path}: `,
        success: `delivered to file: ${path}`,
      };
  const { result } = await run.local.work.run([plan.step]);
  return reportFile(run, branch, plan, result);
}
