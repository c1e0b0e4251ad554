/**
 * Whom smtpd asks. In a running mail system these are daemons, the DNS and policy servers; whoever
 * wants to know what smtpd would do (`postfix explain`) puts others in their places.
 */
import type { CleanupClient } from '../../lib/clients/cleanup.ts';
import type { RewriteClient } from '../../lib/clients/rewrite.ts';
import type { VerifyClient } from '../../lib/clients/verify.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import type { SaslBackEnd } from '../../lib/sasl/exchange.ts';
import type { decide } from './access.ts';
import type { PolicyClient } from './policy-client.ts';
import type { PolicyServer } from './policy-server.ts';

/** A policy server, as restrictions see it. */
export type PolicySource = Pick<PolicyClient, 'server' | 'ask' | 'close'>;

export interface Doors {
  /** False: keys and certificates are not read. */
  readonly shakesHands: boolean;
  readonly rewrite: Pick<RewriteClient, 'rewrite' | 'resolve' | 'close'>;
  readonly cleanup: Pick<CleanupClient, 'open' | 'close'>;
  readonly verify: Pick<VerifyClient, 'query' | 'close'>;
  readonly resolver: Resolver;
  readonly sasl: SaslBackEnd;
  openPolicy(server: PolicyServer): PolicySource;
  /** Goes through restriction lists. */
  readonly decide: typeof decide;
}
