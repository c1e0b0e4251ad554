/**
 * smtp(8) and lmtp(8): delivery to other hosts.
 *
 * Called by qmgr; many deliveries at once. Calls the DNS, other hosts, and for mail that loops the
 * transport best_mx_transport. Touches the queue file only to read it and to mark recipients.
 * The nexthop says where to: `example.com`, `[mx.example.com]:587`, `unix:private/dovecot`.
 * Neither TLS nor SASL yet: where they are demanded, mail is deferred and says so.
 */
import { quote, unquote } from '../../lib/address/address.ts';
import type { Delivery, DeliveryAgent } from '../../lib/delivery/agent.ts';
import type { Delivered } from '../../lib/delivery/outcome.ts';
import { parsePassTarget } from '../../lib/delivery/pass.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import { Attempt } from './attempt.ts';
import { ContentChecks } from './content-checks.ts';
import { MessageFilter } from './content-filter.ts';
import { genericAddress } from './generic.ts';
import { Ledger } from './ledger.ts';
import type { SmtpSession } from './session.ts';
import type { Protocol } from './settings.ts';
import { openState, type State } from './state.ts';
import type { Transfer } from './transfer.ts';
import { ownTrouble } from './trouble.ts';

/** The agent; one program under two names, each with its own half of the parameters. */
export function smtpAgent(protocol: Protocol): DeliveryAgent<never, State> {
  return {
    name: protocol,
    parameters: [],
    open: (context) => openState(context, protocol),
    stop: (_context, state) => state.means.cache.close(),
    deliver,
  };
}

async function deliver(
  request: DeliveryRequest,
  delivery: Delivery<never, State>,
): Promise<readonly Delivered[]> {
  const { log, state } = delivery;
  const { means } = state;
  const ledger = new Ledger({
    recipients: request.recipients,
    softBounce: means.settings.softBounce,
    record: delivery.record,
    siteFailed: delivery.siteFailed,
    skipped: (text) => log.info({ kind: 'text', queueId: request.queueId, text }),
  });
  if (state.refusal !== undefined) {
    await ledger.fail(ledger.open, state.refusal, { relay: 'none', lastHost: true });
    return [];
  }
  const attempt = new Attempt({
    means,
    request,
    ledger,
    mail: await addressesFor(request, state),
    contentFor: (session) => contentFor(session, request, delivery),
    connected: delivery.connectedAt,
    debug: (text) => log.debug({ kind: 'text', queueId: request.queueId, text }),
    info: (text) => log.info(text),
    warn: (text) => log.warn(text),
  });
  const loops = await attempt.run();
  if (loops) await passOn(ledger, delivery, means.settings.bestMxTransport);
  return [];
}

/** The sender and the recipients as the outside world is to see them. */
async function addressesFor(
  request: DeliveryRequest,
  { generic }: State,
): Promise<Pick<Transfer, 'sender' | 'addressOf'>> {
  if (generic === undefined) {
    return { sender: request.sender, addressOf: ({ address }) => address };
  }
  const mapped = new Map<Recipient, string>();
  for (const recipient of request.recipients) {
    mapped.set(recipient, await genericAddress(recipient.address, generic));
  }
  return {
    sender: await genericAddress(request.sender, generic),
    addressOf: (recipient) => mapped.get(recipient) ?? recipient.address,
  };
}

function contentFor(
  session: SmtpSession,
  request: DeliveryRequest,
  { message, state, log }: Delivery<never, State>,
): Transfer['content'] {
  const { generic, means, filter, checks, checkThreads } = state;
  const { eightBitMime } = session.features;
  const sevenBit = !eightBitMime && request.encoding === '8bit' && means.settings.mimeConversion;
  if (!sevenBit && generic === undefined && checks === undefined)
    return { message, converted: false };
  const rewrite =
    generic === undefined
      ? undefined
      : async (address: string) => quote(await genericAddress(unquote(address), generic));
  return {
    message,
    filter: new MessageFilter({
      ...filter,
      sevenBit,
      rewrite,
      checks:
        checks &&
        new ContentChecks({
          tables: checks,
          threads: checkThreads,
          info: (text) => log.info({ kind: 'text', queueId: request.queueId, text }),
          warn: (text) => log.warn(text),
        }),
    }),
    converted: sevenBit,
  };
}

/** Mail that would loop goes to best_mx_transport, recipient by recipient. */
async function passOn(
  ledger: Ledger,
  delivery: Delivery<never, State>,
  transport: string,
): Promise<void> {
  ledger.begin();
  for (const recipient of ledger.open) {
    try {
      await delivery.passOn(recipient, parsePassTarget(transport));
    } catch (error) {
      const trouble = ownTrouble('4.3.0', (error as Error).message, false);
      await ledger.fail([recipient], trouble, { relay: 'none', lastHost: true });
    }
  }
}
