/** What a policy server is told of a client and its message. SMTPD_POLICY_README. Pure. */
import { encodeXtext } from '../../lib/dsn/xtext.ts';
import type { Attribute } from '../../lib/ipc/attributes.ts';
import type { Facts } from './rule.ts';

/** The attributes in Postfix's order; those that nothing is known of are empty. */
export function formatPolicyRequest(
  facts: Facts,
  { context, stress }: { readonly context: string; readonly stress: string },
): Attribute[] {
  const { client, message, command, tls } = facts;
  // Whom nobody vouches for has no name.
  const peer = tls?.peer;
  const named = peer?.isTrusted === true ? peer : undefined;
  const isContent = command === 'DATA' || command === 'END-OF-MESSAGE';
  return [
    ['request', 'smtpd_access_policy'],
    ['protocol_state', command],
    ['protocol_name', facts.protocol],
    ['client_address', client.address],
    ['client_name', client.name],
    ['client_port', String(client.port)],
    ['reverse_client_name', client.reverseName],
    ['server_address', client.serverAddress],
    ['server_port', String(client.serverPort)],
    ['helo_name', facts.helo ?? ''],
    ['sender', facts.sender ?? ''],
    ['recipient', facts.recipient ?? message?.onlyRecipient ?? ''],
    ['recipient_count', isContent ? facts.recipientCount : 0],
    ['queue_id', message?.queueId ?? ''],
    ['instance', message?.instance ?? ''],
    ['size', String(message?.sizeBytes ?? 0)],
    ['etrn_domain', facts.etrnDomain ?? ''],
    ['stress', stress],
    ['sasl_method', client.login?.method ?? ''],
    ['sasl_username', client.login?.username ?? ''],
    ['sasl_sender', message?.saslSender ?? ''],
    ['ccert_subject', encodeXtext(named?.subject ?? '')],
    ['ccert_issuer', encodeXtext(named?.issuer ?? '')],
    ['ccert_fingerprint', peer?.fingerprint ?? ''],
    ['ccert_pubkey_fingerprint', peer?.keyFingerprint ?? ''],
    ['encryption_protocol', tls?.protocol ?? ''],
    ['encryption_cipher', tls?.cipher ?? ''],
    ['encryption_keysize', tls?.cipherBits[0] ?? 0],
    ['policy_context', context],
  ];
}
