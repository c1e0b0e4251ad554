/** RFC 3461 5.2.7: the sender who wants to know of success hears that a list was expanded. */
import { NOTIFY } from '../../lib/dsn/notify.ts';
import type { Branch } from './branch.ts';
import type { Run } from './run.ts';

/** @param action `delivered` for a list that has an owner, who takes over from here */
export async function reportExpansion(
  run: Run,
  branch: Branch,
  action: 'delivered' | 'expanded',
): Promise<void> {
  if ((branch.recipient.notify & NOTIFY.success) === 0) return;
  await run.local.bounce.append('trace', run.request.queueId, 0, branch.recipient, {
    status: '2.0.0',
    diagType: '',
    diagText: '',
    mtaType: '',
    mtaName: '',
    action,
    reason: 'delivery via local: alias expanded',
  });
}
