/** Which mail is our business, and which a stranger may not send through us. Pure. */
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { notedRelayDomain } from './compatibility.ts';
import type { Facts, Knowledge, Settings } from './rule.ts';
import { lookupFailure, reject, type Verdict } from './verdict.ts';

/**
 * Whether mail for this recipient is our business. An address that carries its own route
 * (`user%elsewhere@ours`) is nobody's: through it a stranger could relay.
 */
export function destinationOf(
  { recipientRoute: route }: Facts,
  { allow_untrusted_routing: allowsRouting }: Settings,
): 'ours' | 'foreign' | 'unknown' {
  if (route === undefined) return 'ours';
  const { flags, recipient } = route;
  if ((flags & RESOLVE.FAIL) !== 0) return 'unknown';
  if (!recipient.includes('@')) return 'ours';
  if ((flags & RESOLVE.ROUTED) !== 0 && !allowsRouting) return 'foreign';
  const ours = RESOLVE.LOCAL | RESOLVE.ALIAS | RESOLVE.VIRTUAL | RESOLVE.RELAY;
  return (flags & ours) !== 0 ? 'ours' : 'foreign';
}

const OURS: Verdict = { kind: 'dunno', because: 'the destination is ours' };

/** A refusal to relay, unless the destination is ours. */
export function refuseForeign(
  facts: Facts,
  { settings, oldDefaults }: Knowledge,
  code: number,
): Verdict {
  const recipient = facts.recipient ?? '';
  switch (destinationOf(facts, settings)) {
    case 'ours':
      return notedRelayDomain(OURS, facts, oldDefaults);
    case 'foreign':
      return reject(code, '5.7.1', `<${recipient}>: Relay access denied`, {
        because: () => `${recipient} is in none of our domains`,
      });
    case 'unknown':
      return lookupFailure(recipient, 'a table could not be asked');
  }
}
