/** Where a recipient's mail goes, given what trivial-rewrite said. Pure. */
import { splitAddress } from '../../lib/address/address.ts';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';

/** What main.cf says about routing in qmgr. */
export interface RoutingRules {
  readonly errorService: string;
  readonly retryService: string;
  readonly deferTransports: ReadonlySet<string>;
  readonly doubleBounceSender: string;
  readonly defaultFilterNexthop: string;
  readonly myhostname: string;
  readonly probesMax: number;
}

/** The circumstances of one message. */
export interface RoutingFacts {
  /** `postqueue -f`: defer_transports does not hold. */
  readonly flushed: boolean;
  readonly forceExpired: boolean;
  readonly isProbe: boolean;
  /** Address probes in the active queue, this one included. */
  readonly probes: number;
}

export type Route =
  | {
      readonly kind: 'deliver';
      readonly transport: string;
      readonly nexthop: string;
      readonly address: string;
      /** The rule that decided; for the log. */
      readonly rule: string;
    }
  | { readonly kind: 'discard'; readonly address: string; readonly rule: string };

/** The route of mail that can't be delivered: nexthop is status and reason. */
function dead(transport: string, reason: string, address: string, rule: string): Route {
  return { kind: 'deliver', transport, nexthop: reason, address, rule };
}

/** Chooses the route of a recipient whose address was resolved. */
export function routeResolved(
  resolution: Resolution,
  address: string,
  rules: RoutingRules,
  facts: RoutingFacts,
): Route {
  const { errorService, retryService } = rules;
  if (facts.forceExpired) return expired(address, rules);
  if (address === '') {
    return dead(errorService, '5.1.3 null recipient address', address, 'null recipient');
  }
  if ((resolution.flags & RESOLVE.ERROR) !== 0) {
    return dead(errorService, '5.1.3 bad address syntax', address, 'trivial-rewrite');
  }
  if ((resolution.flags & RESOLVE.FAIL) !== 0) {
    return dead(retryService, '4.3.0 address resolver failure', address, 'trivial-rewrite');
  }
  const { transport, nexthop, recipient } = resolution;
  // So that a system without local delivery does not choke on bounces of bounces.
  if ((resolution.flags & RESOLVE.LOCAL) !== 0 && isDoubleBounce(recipient, rules)) {
    return { kind: 'discard', address: recipient, rule: 'double_bounce_sender' };
  }
  return checked({ transport, nexthop, address: recipient }, rules, facts);
}

/** Chooses the route of a message that goes through a content filter, whoever the recipient is. */
export function routeFiltered(
  filter: string,
  address: string,
  rules: RoutingRules,
  facts: RoutingFacts,
): Route {
  if (facts.forceExpired) return expired(address, rules);
  const colon = filter.indexOf(':');
  const transport = colon < 0 ? filter : filter.slice(0, colon);
  const nexthop =
    (colon < 0 ? '' : filter.slice(colon + 1)) ||
    rules.defaultFilterNexthop ||
    splitAddress(address).domain ||
    rules.myhostname;
  return checked({ transport, nexthop, address }, rules, facts, 'content_filter');
}

function expired(address: string, rules: RoutingRules): Route {
  const reason = '4.7.0 message is administratively expired';
  return dead(rules.retryService, reason, address, 'postsuper -e');
}

function checked(
  target: { transport: string; nexthop: string; address: string },
  rules: RoutingRules,
  facts: RoutingFacts,
  rule = 'trivial-rewrite',
): Route {
  const { transport, address } = target;
  if (!facts.flushed && rules.deferTransports.has(transport)) {
    return dead(rules.retryService, '4.3.2 deferred transport', address, 'defer_transports');
  }
  if (facts.isProbe && facts.probes > rules.probesMax) {
    const reason = '4.3.2 Too many address verification requests';
    return dead(rules.retryService, reason, address, 'address_verify_pending_request_limit');
  }
  return { kind: 'deliver', ...target, rule };
}

function isDoubleBounce(recipient: string, rules: RoutingRules): boolean {
  return splitAddress(recipient).local.toLowerCase() === rules.doubleBounceSender.toLowerCase();
}
