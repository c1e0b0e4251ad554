/** What templates of replies may name: rbl_reply_maps, smtpd_reject_footer. postconf(5). Pure. */
import { now } from '../../lib/clock/clock.ts';
import { formatDate } from '../../lib/message/date.ts';
import { fillTemplate, type Macros } from '../../lib/smtp/reply-template.ts';
import type { Facts, Settings } from './rule.ts';

export type { Macros } from '../../lib/smtp/reply-template.ts';

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
 * Puts values into a template.
 *
 * @throws {ExpansionError} when the template is malformed
 */
export function expandReply(template: string, { macros, settings, warn }: ReplyExpansion): string {
  return fillTemplate(template, { macros, allowed: settings.smtpd_expansion_filter, warn });
}
