/** `check_policy_service`: another program decides. */
import { actOn } from './access-action.ts';
import type { PolicySource } from './doors.ts';
import { formatPolicyRequest } from './policy-request.ts';
import type { Restriction, Rule } from './rule.ts';
import { warning } from './verdict.ts';

/** What decides is an access table's action, for whom the list speaks of. */
export function askPolicy(
  client: PolicySource,
  refer: (restrictions: string) => readonly Rule[],
): Restriction {
  const { text: table, context, defaultAction } = client.server;
  return async (facts, { settings }) => {
    const request = formatPolicyRequest(facts, { context, stress: settings.stress });
    const answer = await client.ask(request);
    const isBroken = settings.smtputf8_enable && answer?.includes('\ufffd') === true;
    const value = isBroken ? defaultAction : (answer ?? defaultAction);
    const { subject } = facts;
    const found = { value, table, key: 'policy query' };
    const verdict = actOn(found, { subject, facts, settings, refer });
    if (!isBroken) return verdict;
    const shown = answer.replaceAll('\ufffd', '?');
    const note = warning(`malformed UTF-8 in policy server ${table} response: "${shown}"`);
    return { ...verdict, notes: [note, ...(verdict.notes ?? [])] };
  };
}
