/** Restrictions that look at the certificate that a client has shown. */
import { splitList } from '../../lib/config/list.ts';
import { TableError } from '../../lib/table/table.ts';
import type { PeerCertificate } from '../../lib/tls/peer-certificate.ts';
import type { TlsSession } from '../../lib/tls/session-facts.ts';
import { type AccessTable, checkAll, wholeKey } from './access-table.ts';
import { notedFingerprints } from './compatibility.ts';
import type { Facts, Knowledge, Restriction, Settings } from './rule.ts';
import {
  clientOf,
  DUNNO,
  lookupFailure,
  type Note,
  serverError,
  type Verdict,
  warning,
} from './verdict.ts';

export const CERTIFICATE_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  permit_tls_clientcerts: permitCertificate('permit_tls_clientcerts'),
  permit_tls_all_clientcerts: permitCertificate('permit_tls_all_clientcerts'),
};

function permitCertificate(name: string): Restriction {
  return (facts, knowledge) => (facts.tls === undefined ? DUNNO : permitBy(name, facts, knowledge));
}

async function permitBy(name: string, facts: Facts, knowledge: Knowledge): Promise<Verdict> {
  const { isPermitted, because, notes, failed } = await isRelayClient(name, facts.tls, knowledge);
  if (failed !== undefined) return { ...lookupFailure(facts.subject.name, failed), notes };
  if (!isPermitted) return { kind: 'dunno', notes };
  return { kind: 'permit', because, notes, permitted: { subject: clientOf(facts) } };
}

/** What a client may do by its certificate. */
interface CertificateFinding {
  readonly isPermitted: boolean;
  readonly because?: () => string;
  readonly notes: readonly Note[];
  /** A table did not answer. */
  readonly failed?: string;
}

const NO_ONE: CertificateFinding = { isPermitted: false, notes: [] };

/**
 * permit_tls_clientcerts: by the certificate, or by the key in it, in relay_clientcerts;
 * permit_tls_all_clientcerts: also by who vouches for it.
 */
export async function isRelayClient(
  restriction: string,
  tls: TlsSession | undefined,
  { settings, relayCertificates, oldDefaults }: Knowledge,
): Promise<CertificateFinding> {
  if (tls === undefined) return NO_ONE;
  const { peer } = tls;
  if (peer === undefined) return { ...NO_ONE, notes: unaskedNotes(restriction, settings) };
  if (restriction === 'permit_tls_all_clientcerts' && peer.isTrusted) {
    const because = () => `the certificate of ${peer.subject} is trusted`;
    return { isPermitted: true, because, notes: [] };
  }
  const { notes = [] } = notedFingerprints(DUNNO, 1, oldDefaults);
  try {
    for (const key of [peer.fingerprint, peer.keyFingerprint]) {
      const found = await relayCertificates.lookup(key);
      if (found === undefined) continue;
      return { isPermitted: true, because: () => `${found.table} has ${key}`, notes };
    }
    return { ...NO_ONE, notes };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const { fingerprint, keyFingerprint } = peer;
    const keys = `fingerprint '${fingerprint}', pkey fingerprint ${keyFingerprint}`;
    const note = warning(`relay_clientcerts: lookup error for ${keys}`);
    return { ...NO_ONE, failed: error.message, notes: [...notes, note] };
  }
}

/** What check_ccert_access looks for; the last two have a name, and nothing else. */
const KEYS = {
  cert_fingerprint: ({ fingerprint }: PeerCertificate) => fingerprint,
  pubkey_fingerprint: ({ keyFingerprint }: PeerCertificate) => keyFingerprint,
  issuer_cn: undefined,
  subject_cn: undefined,
} as const;

type Key = keyof typeof KEYS;

const DEFAULT_ORDER: readonly Key[] = ['cert_fingerprint', 'pubkey_fingerprint'];

/** `{ hash:/etc/postfix/certs, { search_order = pubkey_fingerprint } }` */
export interface CertificateTable {
  readonly table: string;
  readonly order: readonly Key[];
}

/** @returns what is wrong with it, when something is: lines for the log at start */
export function parseCertificateTable(text: string): CertificateTable | string {
  const inside = withoutBraces(text);
  if ('trouble' in inside) return `malformed map specification: '${inside.trouble}'`;
  const [table, ...attributes] = splitList(inside.text);
  if (table === undefined) return `empty map specification: '${text}'`;
  if (!table.includes(':')) {
    return `malformed map specification: '${text}'\nexpected maptype:mapname instead of '${table}'`;
  }
  let order: string[] = [...DEFAULT_ORDER];
  for (const attribute of attributes) {
    const given = withoutBraces(attribute);
    if ('trouble' in given) return `malformed map attribute: ${given.trouble}`;
    const [, name = '', equals, value = ''] =
      /^\s*([^\s=]*)\s*(=?)\s*(.*?)\s*$/s.exec(given.text) ?? [];
    const missing = name === '' ? 'missing attribute name' : "missing '=' after attribute name";
    if (name === '' || equals !== '=') return `malformed map attribute in '${text}': '${missing}'`;
    if (name.toLowerCase() !== 'search_order')
      return `unknown map attribute in '${text}': '${name}'`;
    order = splitList(value).map((word) => word.toLowerCase());
    const unknown = order.findIndex((word) => !Object.hasOwn(KEYS, word));
    if (unknown >= 0) return `unknown search type '${splitList(value)[unknown]}' in '${text}'`;
  }
  return { table, order: order as Key[] };
}

/** `{text}` without its braces; what has none stays as it is. */
function withoutBraces(text: string): { readonly text: string } | { readonly trouble: string } {
  if (!text.startsWith('{')) return { text };
  if (text.endsWith('}')) return { text: text.slice(1, -1) };
  return { trouble: `syntax error after '}' in "${text}"` };
}

/** @param text the table as main.cf has it */
export function checkCertificate(
  table: AccessTable,
  text: string,
  order = DEFAULT_ORDER,
): Restriction {
  const rules = order.map((key) => ({
    name: key,
    warnOnly: false,
    restriction: keyRestriction(table, text, key),
  }));
  return (facts, knowledge) => {
    const peer = facts.tls?.peer;
    if (peer === undefined) {
      return { kind: 'dunno', notes: unaskedNotes('check_ccert_access', knowledge.settings) };
    }
    // One after the other: what the first key is warned of does not keep us from the second.
    return { kind: 'see', rules, subject: { name: peer.subject, kind: 'certificate' } };
  };
}

function keyRestriction(table: AccessTable, text: string, name: Key): Restriction {
  const keyOf = KEYS[name];
  if (keyOf === undefined) {
    return () => serverError(`check_ccert_access: unexpected action '${name}' in '${text}'`);
  }
  return (facts, knowledge) => {
    const peer = facts.tls?.peer;
    if (peer === undefined) return DUNNO;
    const query = { subject: facts.subject, facts, knowledge };
    const noted = (verdict: Verdict) => notedFingerprints(verdict, 1, knowledge.oldDefaults);
    const verdict = checkAll(table, () => wholeKey(keyOf(peer)), query);
    return verdict instanceof Promise ? verdict.then(noted) : noted(verdict);
  };
}

/** Who is not asked for a certificate shows none: that is worth a warning. */
function unaskedNotes(restriction: string, settings: Settings): readonly Note[] {
  if (settings.smtpd_tls_ask_ccert) return [];
  return [warning(`${restriction} is requested, but "smtpd_tls_ask_ccert = no"`)];
}
