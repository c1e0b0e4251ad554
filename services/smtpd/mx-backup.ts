/** permit_mx_backup: domains that name us among their mail exchangers may have their mail through us. */
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { isNullMx, type MxRecord, nativeReason } from '../../lib/dns/answer.ts';
import { notedRelayDomain } from './compatibility.ts';
import { destinationOf } from './relay-barrier.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import { DUNNO, lookupFailure, refusal, rejected, type Verdict } from './verdict.ts';

export const permitMxBackup: Restriction = async (facts, knowledge) => {
  const { recipient = '', recipientRoute: route } = facts;
  if (recipient === '' || route === undefined) return DUNNO;
  const permitted: Verdict = {
    kind: 'permit',
    permitted: { subject: { name: recipient, kind: 'recipient' } },
  };
  switch (destinationOf(facts, knowledge.settings)) {
    case 'unknown':
      return lookupFailure(recipient, 'a table could not be asked');
    case 'ours':
      return notedRelayDomain(permitted, facts, knowledge.oldDefaults);
    case 'foreign':
      break;
  }
  const isRouted = (route.flags & RESOLVE.ROUTED) !== 0;
  const domain = route.recipient.slice(route.recipient.lastIndexOf('@') + 1);
  if ((isRouted && !knowledge.settings.allow_untrusted_routing) || domain.startsWith('[')) {
    return DUNNO;
  }
  const found = await knowledge.resolver.lookupMx(domain);
  if (found.status === 'again' || found.status === 'invalid') {
    const why = found.reason.replace(/^.*: /, '');
    return later(facts, `Unable to look up mail exchanger information: ${why}`);
  }
  if (found.status !== 'found' || isNullMx(found.records)) return DUNNO;
  const trouble =
    (await isOurs(found.records, facts, knowledge)) ??
    (await arePrimariesKnown(found.records, facts, knowledge));
  return trouble ?? permitted;
};

/** @returns why we are not among them; `undefined`: we are */
async function isOurs(
  exchangers: readonly MxRecord[],
  facts: Facts,
  { resolver, families, isOwnAddress }: Knowledge,
): Promise<Verdict | undefined> {
  let trouble: Verdict | undefined;
  for (const { exchange } of exchangers) {
    const found = await resolver.lookupNative(exchange, families);
    if (found.records.some(({ address }) => isOwnAddress(address))) return undefined;
    if (found.status !== 'found') {
      const why = `${exchange}: ${nativeReason(found.status)}`;
      trouble ??= later(facts, `Unable to look up mail exchanger host ${why}`);
    }
  }
  return trouble ?? DUNNO;
}

/** permit_mx_backup_networks: the best of them have to be in those. */
async function arePrimariesKnown(
  exchangers: readonly MxRecord[],
  facts: Facts,
  { resolver, families, isBackupNetwork }: Knowledge,
): Promise<Verdict | undefined> {
  if (isBackupNetwork === undefined) return undefined;
  const best = Math.min(...exchangers.map(({ preference }) => preference));
  for (const { exchange, preference } of exchangers) {
    if (preference !== best) continue;
    const found = await resolver.lookupNative(exchange, families);
    if (found.status !== 'found') {
      return later(facts, `Unable to verify host ${exchange} as mail exchanger`);
    }
    for (const { address } of found.records) {
      if (!(await isBackupNetwork(address))) return DUNNO;
    }
  }
  return undefined;
}

function later({ subject }: Facts, why: string): Verdict {
  return { kind: 'defer-if-reject', reply: refusal(450, '4.4.4', rejected(subject, why)) };
}
