/** check_*_access: what each of them looks up, and for whom. */
import {
  type AccessQuery,
  type AccessTable,
  checkAddress,
  checkAll,
  clientKeys,
  hostKeys,
  wholeKey,
} from './access-table.ts';
import { checkCertificate } from './certificate-restrictions.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import { clientOf, DUNNO, type Subject, serverError, type Verdict, warning } from './verdict.ts';

/** A restriction that is followed by a table. */
export type TableCheck = (table: AccessTable) => Restriction;

export const ACCESS_CHECKS: Readonly<Record<string, TableCheck>> = {
  check_client_access: (table) => (facts, knowledge) => {
    const { name, address } = facts.client;
    const query = { subject: clientOf(facts), facts, knowledge };
    return checkAll(table, () => clientKeys(name, address, table), query);
  },
  check_reverse_client_hostname_access: (table) => async (facts, knowledge) => {
    const { reverseName: name, address } = facts.client;
    const query: AccessQuery = { subject: { name, kind: 'reverse-client' }, facts, knowledge };
    const verdict = await checkAll(table, () => clientKeys(name, address, table), query);
    return withoutPermit('check_reverse_client_hostname_access', name, verdict);
  },
  check_helo_access: (table) => (facts, knowledge) =>
    facts.helo === undefined ? DUNNO : checkHost(table, 'helo', facts.helo, facts, knowledge),
  check_sender_access: (table) => (facts, knowledge) => {
    const { sender, senderRoute } = facts;
    if (sender === undefined) return DUNNO;
    const query: AccessQuery = { subject: { name: sender, kind: 'sender' }, facts, knowledge };
    if (sender !== '') return checkAddress(table, sender, senderRoute, query);
    const key = knowledge.settings.smtpd_null_access_lookup_key;
    return checkAll(table, () => wholeKey(key), query);
  },
  check_recipient_access: (table) => (facts, knowledge) => {
    const { recipient = '', recipientRoute } = facts;
    if (recipient === '') return DUNNO;
    const subject: Subject = { name: recipient, kind: 'recipient' };
    return checkAddress(table, recipient, recipientRoute, { subject, facts, knowledge });
  },
  check_etrn_access: (table) => (facts, knowledge) =>
    facts.etrnDomain === undefined
      ? DUNNO
      : checkHost(table, 'etrn', facts.etrnDomain, facts, knowledge),
  check_ccert_access: (table) => checkCertificate(table, ''),
  check_sasl_access: (table) => (facts, knowledge) => {
    if (!knowledge.settings.smtpd_sasl_auth_enable) {
      const note = warning("restriction `check_sasl_access' ignored: no SASL support");
      return { kind: 'dunno', notes: [note] };
    }
    const name = facts.client.login?.username ?? '';
    if (name === '') return DUNNO;
    const query: AccessQuery = { subject: { name, kind: 'login' }, facts, knowledge };
    return checkAll(table, () => wholeKey(name), query);
  },
};

function checkHost(
  table: AccessTable,
  kind: 'helo' | 'etrn',
  name: string,
  facts: Facts,
  knowledge: Knowledge,
): Verdict | Promise<Verdict> {
  const query: AccessQuery = { subject: { name, kind }, facts, knowledge };
  return checkAll(table, () => hostKeys(name, table.parents), query);
}

/** A client says for itself what is looked up here: it must not get in by it. */
export function withoutPermit(restriction: string, name: string, verdict: Verdict): Verdict {
  if (verdict.kind === 'dunno' || 'reply' in verdict) return verdict;
  const forbidden = serverError(
    `restriction ${restriction} returns OK for ${name}`,
    'this is not allowed for security reasons',
    'use DUNNO instead of OK if you want to make an exception',
  );
  return { ...verdict, forbidden };
}
