/**
 * reject_*_sender_login_mismatch: who may use a sender address (smtpd_sender_login_maps), by the
 * name that they are logged in with.
 */
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { splitList } from '../../lib/config/list.ts';
import { addressKeys, search } from '../../lib/table/address-search.ts';
import { TableError } from '../../lib/table/table.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import { DUNNO, lookupFailure, reject, type Verdict, warning } from './verdict.ts';

/**
 * Without SASL there are no logins: the log says that the restriction means nothing, by the name that
 * it was given.
 */
const guarded =
  (restriction: Restriction) =>
  (name: string): Restriction =>
  (facts, knowledge) => {
    if (knowledge.settings.smtpd_sasl_auth_enable) return restriction(facts, knowledge);
    const note = warning(`restriction \`${name}' ignored: no SASL support`);
    return { kind: 'dunno', notes: [note] };
  };

type Owners = Awaited<ReturnType<typeof search>>;

/** Finds out whose the sender is, and lets `judge` say what follows. */
async function withOwners(
  { sender = '', senderRoute: route }: Facts,
  { settings, senderLogins }: Knowledge,
  judge: (owners: Owners) => Verdict,
): Promise<Verdict> {
  if (sender === '' || route === undefined) return DUNNO;
  if ((route.flags & RESOLVE.FAIL) !== 0) return lookupFailure(sender, 'a table has no answer');
  try {
    const keys = addressKeys(route.recipient, {
      delimiters: settings.recipient_delimiter,
      bareUser: 'own-domain',
      atDomain: true,
    });
    return judge(await search(senderLogins, keys, () => (route.flags & RESOLVE.LOCAL) !== 0));
  } catch (error) {
    if (error instanceof TableError) return lookupFailure(sender, error.message);
    throw error;
  }
}

/** An address that has an owner is not for those who are not logged in. */
const requireLogin: Restriction = (facts, knowledge) =>
  facts.client.login !== undefined
    ? DUNNO
    : withOwners(facts, knowledge, (owners) =>
        owners === undefined ? DUNNO : refuse(facts, 'not logged in', owners),
      );

/** Those who are logged in may only use what is theirs. */
const requireOwner =
  (nobodysIsFree: boolean): Restriction =>
  (facts, knowledge) => {
    const { login } = facts.client;
    if (login === undefined) return DUNNO;
    return withOwners(facts, knowledge, (owners) => {
      if (owners === undefined && nobodysIsFree) return DUNNO;
      const user = login.username.toLowerCase();
      const names = splitList(owners?.value ?? '').map((name) => name.toLowerCase());
      return names.includes(user)
        ? DUNNO
        : refuse(facts, `not owned by user ${login.username}`, owners);
    });
  };

function refuse({ sender }: Facts, why: string, owners: Owners): Verdict {
  const because =
    owners === undefined ? 'nobody owns it' : `${owners.table}: ${owners.key}: ${owners.value}`;
  return reject(553, '5.7.1', `<${sender}>: Sender address rejected: ${why}`, { because });
}

/** One of the two has nothing to say. */
const requireOwnerIfOwned: Restriction = (facts, knowledge) =>
  (facts.client.login === undefined ? requireLogin : requireOwner(true))(facts, knowledge);

const AUTHENTICATED = 'reject_authenticated_sender_login_mismatch';
const UNAUTHENTICATED = 'reject_unauthenticated_sender_login_mismatch';

/** By their names, in small letters; what makes them wants the name as it was written. */
export const LOGIN_RESTRICTIONS: Readonly<Record<string, (name: string) => Restriction>> = {
  reject_known_sender_login_mismatch: guarded(requireOwnerIfOwned),
  [UNAUTHENTICATED]: guarded(requireLogin),
  [AUTHENTICATED]: guarded(requireOwner(false)),
};

/** `reject_sender_login_mismatch` is a restriction class that needs no mention. */
export const LOGIN_CLASSES: readonly (readonly [name: string, members: string])[] = [
  ['reject_sender_login_mismatch', `${AUTHENTICATED}, ${UNAUTHENTICATED}`],
];
