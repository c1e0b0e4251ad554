/** Mail for nobody on this machine. */
import { quote, unquote } from '../../lib/address/address.ts';
import { type Branch, branchMacros } from './branch.ts';
import { deliverAddress } from './expand.ts';
import { expandMacros } from './macros.ts';
import { passOn, transportFor } from './mailbox.ts';
import type { Progress, Run } from './run.ts';

/** An address that luser_relay makes of an address that it has made, and so on, has no end. */
const LEVEL_MAX = 100;

/** Their mail is not returned: it would come back. */
const REQUIRED: ReadonlySet<string> = new Set(['mailer-daemon', 'postmaster']);

export async function deliverUnknown(run: Run, branch: Branch): Promise<Progress> {
  const { settings } = run.local;
  const { fallbackTransports } = run.tables;
  const { parameters } = settings;
  const plan = await transportFor(
    fallbackTransports,
    branch.user,
    'fallback_transport',
    parameters.fallback_transport,
  );
  if (plan?.kind === 'failed') return run.failed(branch, plan.status, plan.text);
  if (plan !== undefined) {
    if (run.duplicates.isRepeated('fallback', branch.local)) return 'done';
    return passOn(run, branch, plan.target, plan.because);
  }
  if (parameters.luser_relay !== '') {
    const relay = await relayAddress(run, branch);
    if (relay !== undefined) return deliverToRelay(run, branch, relay);
  }
  if (run.duplicates.isRepeated('unknown', branch.local)) return 'done';
  if (REQUIRED.has(branch.user)) {
    run.warn(`required alias not found: ${branch.user}`);
    return run.sent(branch, 'discarded');
  }
  return run.failed(branch, '5.1.1', `unknown user: "${branch.user}"`);
}

/**
 * The address that luser_relay makes of this one, in its quoted form; `undefined` when it is the
 * address that we are at, and unknown here.
 */
async function relayAddress(run: Run, branch: Branch): Promise<string | undefined> {
  const { luser_relay, recipient_delimiter } = run.settings.parameters;
  const lookup = branchMacros(branch, undefined, recipient_delimiter);
  const { text } = expandMacros(luser_relay, lookup);
  const address = await run.local.rewrite.rewrite('local', quote(text));
  run.trail.push(`luser_relay: ${address}`);
  return unquote(address) === branch.recipient.address ? undefined : address;
}

/** It is an address, never a file or a command: it is made of what the sender wrote. */
function deliverToRelay(run: Run, branch: Branch, address: string): Promise<Progress> {
  if (branch.level > LEVEL_MAX) {
    return run.failed(branch, '5.4.6', `mail forwarding loop for ${branch.recipient.address}`);
  }
  return deliverAddress(run, { ...branch, unmatched: undefined }, address);
}
