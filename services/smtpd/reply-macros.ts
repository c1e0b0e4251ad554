/** What templates of replies may name: rbl_reply_maps, smtpd_reject_footer. postconf(5). Pure. */
import { now } from '../../lib/clock/clock.ts';
import { expand } from '../../lib/config/expand.ts';
import { formatDate } from '../../lib/message/date.ts';
import type { Facts, Settings } from './rule.ts';

export type Macros = Readonly<Record<string, string | undefined>>;

/** What is known of a session. */
export type MacroFacts = Pick<Facts, 'client' | 'helo' | 'sender' | 'recipient'>;

/** The names of section 8 of smtp-replies.md. */
export function sessionMacros(facts: MacroFacts, settings: Settings): Macros {
  const { client, helo, sender, recipient } = facts;
  return {
    client: client.label,
    client_address: client.address,
    client_name: client.name,
    client_port: String(client.port),
    reverse_client_name: client.reverseName,
    helo_name: helo,
    sender: sender === '' ? '<>' : sender,
    sender_name: sender === '' ? 'MAILER-DAEMON' : localPart(sender),
    sender_domain: domainPart(sender),
    recipient,
    recipient_name: localPart(recipient),
    recipient_domain: domainPart(recipient),
    server_name: settings.myhostname,
    localtime: formatDate(now()),
  };
}

function localPart(address: string | undefined): string | undefined {
  const at = address?.lastIndexOf('@') ?? -1;
  return at < 0 ? address : address?.slice(0, at);
}

function domainPart(address: string | undefined): string | undefined {
  const at = address?.lastIndexOf('@') ?? -1;
  return at < 0 ? undefined : address?.slice(at + 1);
}

/** What a template is filled with. */
export interface ReplyExpansion {
  readonly macros: Macros;
  readonly settings: Pick<Settings, 'smtpd_expansion_filter'>;
  readonly warn: (text: string) => void;
}

/**
 * Puts values into a template. What a client may have chosen is filtered, and never a template.
 *
 * @throws {ExpansionError} when the template is malformed
 */
export function expandReply(template: string, { macros, settings, warn }: ReplyExpansion): string {
  const allowed = new Set(charactersOf(settings.smtpd_expansion_filter));
  return expand(template, (name) => {
    if (!Object.hasOwn(macros, name)) {
      warn(`unknown macro name "${name}" in expansion request`);
      return undefined;
    }
    const clean = [...(macros[name] ?? '')].map((c) => (allowed.has(c) ? c : '_')).join('');
    return clean.replaceAll('$', '$$$$');
  });
}

/** The characters behind `\t`, `\40`, `\\`. */
function charactersOf(text: string): string {
  return text.replace(/\\(?:([0-7]{1,3})|(.))/gs, (_all, octal?: string, letter = '') =>
    octal === undefined
      ? (ESCAPES[letter] ?? letter)
      : String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
