/** Giving recipients to destinations. */
import { quote, splitAddress, splitExtension, unquote } from '../../lib/address/address.ts';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import type { Core } from './core.ts';
import type { Destination } from './destination.ts';
import type { Message } from './message.ts';
import { type Route, type RoutingFacts, routeFiltered, routeResolved } from './routing.ts';
import type { Transport } from './transport.ts';

/** What came of assigning: who is left without an agent, and who is to be dropped. */
export interface Leftovers {
  readonly discarded: readonly QueuedRecipient[];
  /** Neither their transport nor `retry` can be had. */
  readonly stranded: readonly { readonly recipient: QueuedRecipient; readonly detail: DsnDetail }[];
}

interface Routed {
  readonly recipient: QueuedRecipient;
  readonly route: Route;
}

/** Resolves recipients, then puts them in line, those of one destination together. */
export async function assign(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
): Promise<Leftovers> {
  const routed: Routed[] = [];
  for (const recipient of recipients) routed.push(await routeOf(core, message, recipient));
  return enqueue(core, message, routed);
}

async function routeOf(core: Core, message: Message, recipient: QueuedRecipient): Promise<Routed> {
  const { envelope } = message;
  const { rules } = core;
  const isProbe = (envelope.traceFlags & DELIVERY_FLAG.MTA_VRFY) !== 0;
  const facts: RoutingFacts = {
    flushed: message.flushed,
    forceExpired: message.forceExpired,
    isProbe,
    probes: core.active.probes,
  };
  const isDryRun = isProbe || (envelope.traceFlags & DELIVERY_FLAG.USR_VRFY) !== 0;
  let route: Route;
  if (envelope.redirect !== undefined) {
    const address = await rewritten(core, envelope.redirect);
    route = routeResolved(await resolve(core, message, address, false), address, rules, facts);
  } else if (envelope.contentFilter !== undefined && envelope.contentFilter !== '' && !isDryRun) {
    route = routeFiltered(envelope.contentFilter, recipient.address, rules, facts);
  } else {
    const resolution = await resolve(core, message, recipient.address, isProbe);
    route = routeResolved(resolution, recipient.address, rules, facts);
  }
  const { address } = route;
  return {
    recipient: address === recipient.address ? recipient : { ...recipient, address },
    route,
  };
}

/** Resolver trouble is no reason to bounce: it looks like a failed table. */
async function resolve(
  core: Core,
  message: Message,
  address: string,
  isProbe: boolean,
): Promise<Resolution> {
  const { sender } = message.envelope;
  try {
    if (isProbe) return await core.rewrite.resolveForVerify(sender, address);
    return await core.rewrite.resolve(sender, address);
  } catch (error) {
    core.log.warn({ kind: 'text', queueId: message.id, text: (error as Error).message });
    return { transport: '', nexthop: '', recipient: address, flags: RESOLVE.FAIL };
  }
}

async function rewritten(core: Core, address: string): Promise<string> {
  try {
    return unquote(await core.rewrite.rewrite('local', quote(address)));
  } catch {
    // What follows asks the same service, and says that it can't be had.
    return address;
  }
}

/** Nothing waits in here: what is alive when it is looked at is so when it is used. */
function enqueue(core: Core, message: Message, routed: readonly Routed[]): Leftovers {
  const groups = new Map<Destination, QueuedRecipient[]>();
  const discarded: QueuedRecipient[] = [];
  const stranded: { recipient: QueuedRecipient; detail: DsnDetail }[] = [];
  for (const { recipient, route } of routed) {
    if (route.kind === 'discard') {
      discarded.push(recipient);
      continue;
    }
    const found = destinationOf(core, message, recipient, route);
    if ('status' in found) stranded.push({ recipient, detail: found });
    else if (groups.get(found)?.push(recipient) === undefined) groups.set(found, [recipient]);
  }
  const transports = new Set<Transport>();
  for (const [destination, group] of groups) {
    const { transport } = destination;
    message.unfinished += transport.enqueue(message, group, destination);
    transports.add(transport);
  }
  for (const transport of transports) transport.pump();
  return { discarded, stranded };
}

/** @returns the destination, or why nothing can be delivered there nor through `retry` */
function destinationOf(
  core: Core,
  message: Message,
  recipient: QueuedRecipient,
  route: Route & { kind: 'deliver' },
): Destination | DsnDetail {
  const transport = core.transports.find(route.transport);
  if (transport.dead !== undefined && message.unthrottles) transport.revive();
  if (transport.dead !== undefined) return retryDestination(core, transport.dead);
  const name = destinationName(core, transport, recipient, route);
  const destination = transport.destination(name, route.nexthop);
  if (destination.dead !== undefined && message.unthrottles) destination.revive();
  // To revive it may have let it go.
  const current = transport.destination(name, route.nexthop);
  return current.dead === undefined ? current : retryDestination(core, current.dead);
}

/** The `retry` agent's destination that defers with this detail, or the detail when it is dead. */
export function retryDestination(core: Core, detail: DsnDetail): Destination | DsnDetail {
  const transport = core.transports.find(core.rules.retryService);
  if (transport.dead !== undefined) return detail;
  const nexthop = `${detail.status} ${detail.reason}`;
  const destination = transport.destination(nexthop, nexthop);
  return destination.dead === undefined ? destination : detail;
}

/**
 * An agent that takes one recipient at a time (local) gets a line for each, so that a slow one
 * holds up nobody else; an address extension does not buy another line.
 */
function destinationName(
  core: Core,
  transport: Transport,
  recipient: QueuedRecipient,
  route: Route & { kind: 'deliver' },
): string {
  const { errorService, retryService } = core.rules;
  const isDead = transport.name === errorService || transport.name === retryService;
  if (transport.limits.recipients !== 1 || isDead) return route.nexthop;
  const { local } = splitAddress(recipient.address);
  const base = splitExtension(local, core.settings.recipient_delimiter)?.base ?? local;
  return `${base}@${route.nexthop}`;
}
