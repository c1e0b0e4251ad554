/** Mail for nobody on this machine. */
import { quote } from '../../lib/address/address.ts';
import { type Branch, branchMacros } from './branch.ts';
import { deliverAddress } from './expand.ts';
import { expandMacros } from './macros.ts';
import { passOn, transportFor } from './mailbox.ts';
import type { Progress, Run } from './run.ts';

/** Their mail is not returned: it would come back. */
const REQUIRED: ReadonlySet<string> = new Set(['mailer-daemon', 'postmaster']);

export async function deliverUnknown(run: Run, branch: Branch): Promise<Progress> {
  const { fallbackTransports, settings } = run.local;
  const { parameters } = settings;
  if (run.duplicates.isRepeated('unknown', branch.local)) return 'done';
  const plan = await transportFor(
    fallbackTransports,
    branch.user,
    'fallback_transport',
    parameters.fallback_transport,
  );
  if (plan?.kind === 'failed') return run.failed(branch, plan.status, plan.text);
  if (plan !== undefined) return passOn(run, branch, plan.target, plan.because);
  if (parameters.luser_relay !== '') return deliverToRelay(run, branch);
  if (REQUIRED.has(branch.user)) {
    run.warn(`required alias not found: ${branch.user}`);
    return run.sent(branch, 'discarded');
  }
  return run.failed(branch, '5.1.1', `unknown user: "${branch.user}"`);
}

/** luser_relay is an address, never a file or a command: it is made of what the sender wrote. */
function deliverToRelay(run: Run, branch: Branch): Promise<Progress> {
  const { luser_relay, recipient_delimiter } = run.settings.parameters;
  const lookup = branchMacros(branch, undefined, recipient_delimiter);
  const { text } = expandMacros(luser_relay, lookup);
  run.trail.push(`luser_relay: ${text}`);
  return deliverAddress(run, { ...branch, unmatched: undefined }, quote(text));
}
