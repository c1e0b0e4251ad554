/** Restrictions that look at the certificate that a client has shown. */
import { splitList } from '../../lib/config/list.ts';
import { TableError } from '../../lib/table/table.ts';
import type { PeerCertificate } from '../../lib/tls/peer-certificate.ts';
import { type AccessTable, checkKeys, wholeKey } from './access-table.ts';
import { notedFingerprints } from './compatibility.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import { clientOf, DUNNO, lookupFailure, type Subject, type Verdict } from './verdict.ts';

export const CERTIFICATE_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  permit_tls_clientcerts: (facts, knowledge) =>
    facts.tls?.peer ? permitListed(facts, facts.tls.peer, knowledge) : DUNNO,
  permit_tls_all_clientcerts: (facts, knowledge) => {
    const peer = facts.tls?.peer;
    if (peer === undefined) return DUNNO;
    if (!peer.isTrusted) return permitListed(facts, peer, knowledge);
    return permit(facts, () => `the certificate of ${peer.subject} is trusted`);
  },
};

/** What check_ccert_access may look for. */
const KEYS = {
  cert_fingerprint: ({ fingerprint }: PeerCertificate) => fingerprint,
  pubkey_fingerprint: ({ keyFingerprint }: PeerCertificate) => keyFingerprint,
} as const;

type Key = keyof typeof KEYS;

const DEFAULT_ORDER: readonly Key[] = ['cert_fingerprint', 'pubkey_fingerprint'];

/** `{ hash:/etc/postfix/certs, { search_order = pubkey_fingerprint } }` */
export interface CertificateTable {
  readonly table: string;
  readonly order: readonly Key[];
}

/** @returns what is wrong with it, when something is */
export function parseCertificateTable(text: string): CertificateTable | string {
  if (!text.startsWith('{')) return { table: text, order: DEFAULT_ORDER };
  const [table = '', ...options] = splitList(text.slice(1, -1));
  let order = DEFAULT_ORDER;
  for (const option of options) {
    const [, value] = /^\{\s*search_order\s*=\s*(.*?)\s*\}$/s.exec(option) ?? [];
    if (value === undefined)
      return `check_ccert_access: unexpected attribute ${option} in '${text}'`;
    const words = splitList(value);
    const unknown = words.find((word) => !Object.hasOwn(KEYS, word));
    if (unknown !== undefined) {
      return `check_ccert_access: unexpected action '${unknown}' in '${text}'`;
    }
    order = words as Key[];
  }
  return { table, order };
}

export function checkCertificate(table: AccessTable, order = DEFAULT_ORDER): Restriction {
  return async (facts, knowledge) => {
    const peer = facts.tls?.peer;
    if (peer === undefined) return DUNNO;
    const subject: Subject = { name: peer.subject, kind: 'certificate' };
    for (const [index, name] of order.entries()) {
      const key = KEYS[name](peer);
      const verdict = await checkKeys(table, wholeKey(key), { subject, facts, knowledge });
      if (verdict !== undefined)
        return notedFingerprints(verdict, index + 1, knowledge.oldDefaults);
    }
    return notedFingerprints(DUNNO, order.length, knowledge.oldDefaults);
  };
}

/** relay_clientcerts: by the certificate, or by the key in it. */
async function permitListed(
  facts: Facts,
  peer: PeerCertificate,
  knowledge: Knowledge,
): Promise<Verdict> {
  const verdict = await lookupListed(facts, peer, knowledge);
  return notedFingerprints(verdict, 1, knowledge.oldDefaults);
}

async function lookupListed(
  facts: Facts,
  peer: PeerCertificate,
  { relayCertificates }: Knowledge,
): Promise<Verdict> {
  try {
    for (const key of [peer.fingerprint, peer.keyFingerprint]) {
      const found = await relayCertificates.lookup(key);
      if (found !== undefined) return permit(facts, () => `${found.table} has ${key}`);
    }
    return DUNNO;
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const { fingerprint, keyFingerprint } = peer;
    return lookupFailure(
      facts.client.label,
      error.message,
      `relay_clientcerts: lookup error for fingerprint '${fingerprint}', pkey fingerprint ${keyFingerprint}`,
    );
  }
}

function permit(facts: Facts, because: () => string): Verdict {
  return { kind: 'permit', because, permitted: { subject: clientOf(facts) } };
}
