/**
 * reject_*_sender_login_mismatch: who may use a sender address (smtpd_sender_login_maps). Nobody is
 * logged in, so that every address with an owner is somebody else's.
 */
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { addressKeys, search } from '../../lib/table/address-search.ts';
import { TableError } from '../../lib/table/table.ts';
import type { Restriction } from './rule.ts';
import { DUNNO, lookupFailure, reject, warning } from './verdict.ts';

/** Without SASL there are no logins: the log says that the restriction means nothing. */
const guarded =
  (names: readonly string[], restriction: Restriction): Restriction =>
  (facts, knowledge) => {
    if (knowledge.settings.smtpd_sasl_auth_enable) return restriction(facts, knowledge);
    const notes = names.map((name) => warning(`restriction \`${name}' ignored: no SASL support`));
    return { kind: 'dunno', notes };
  };

const requireLogin: Restriction = async ({ sender = '', senderRoute: route }, knowledge) => {
  const { settings, senderLogins } = knowledge;
  if (sender === '' || route === undefined) return DUNNO;
  if ((route.flags & RESOLVE.FAIL) !== 0) return lookupFailure(sender, 'a table has no answer');
  try {
    const keys = addressKeys(route.recipient, {
      delimiters: settings.recipient_delimiter,
      bareUser: 'own-domain',
      atDomain: true,
    });
    const owned = await search(senderLogins, keys, () => (route.flags & RESOLVE.LOCAL) !== 0);
    if (owned === undefined) return DUNNO;
    return reject(553, '5.7.1', `<${sender}>: Sender address rejected: not logged in`, {
      because: `${owned.table}: ${owned.key}: ${owned.value}`,
    });
  } catch (error) {
    if (error instanceof TableError) return lookupFailure(sender, error.message);
    throw error;
  }
};

const KNOWN = 'reject_known_sender_login_mismatch';
const UNAUTHENTICATED = 'reject_unauthenticated_sender_login_mismatch';
const AUTHENTICATED = 'reject_authenticated_sender_login_mismatch';

export const LOGIN_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  reject_sender_login_mismatch: guarded([AUTHENTICATED, UNAUTHENTICATED], requireLogin),
  [KNOWN]: guarded([KNOWN], requireLogin),
  [UNAUTHENTICATED]: guarded([UNAUTHENTICATED], requireLogin),
  // Nobody is logged in as somebody else.
  [AUTHENTICATED]: guarded([AUTHENTICATED], () => DUNNO),
};
