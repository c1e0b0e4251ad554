import { BounceClient } from '../clients/bounce.ts';
import { FLUSH_STATUS, FlushClient } from '../clients/flush.ts';
import { clientOptions } from '../clients/options.ts';
import { VerifyClient } from '../clients/verify.ts';
import { hasOldDefault } from '../config/compatibility.ts';
import type { Configuration } from '../config/configuration.ts';
import { splitList } from '../config/list.ts';
import { type MatchList, parseMatchList } from '../config/match-list.ts';
import type { Log } from '../log/log.ts';
import type { StatusFilter } from './status-filter.ts';

/** Whom an agent tells what became of recipients; one set per process, whose tables may be renewed. */
export interface Reporters {
  readonly log: Log;
  readonly bounce: BounceClient;
  readonly verify: VerifyClient;
  /** Whether failed probes are remembered (address_verify_negative_cache). */
  readonly verifyFailures: boolean;
  /** Notes a deferred message for its destination, if somebody may ask for that. */
  readonly flushAdd: (site: string, queueId: string) => Promise<void>;
  readonly softBounce: boolean;
  /** What the administrator makes of statuses and texts. */
  statusFilter?: StatusFilter | undefined;
}

/** The services as main.cf names them. Nothing is connected before it is needed. */
export function openReporters(configuration: Configuration, log: Log): Reporters {
  const options = clientOptions(configuration, log);
  const verify = `private/${configuration.get('address_verify_service_name')}`;
  return {
    log,
    bounce: new BounceClient({
      ...options,
      names: {
        bounce: configuration.get('bounce_service_name'),
        defer: configuration.get('defer_service_name'),
        trace: configuration.get('trace_service_name'),
      },
    }),
    verify: new VerifyClient({ ...options, socketPath: verify }),
    verifyFailures: configuration.get('address_verify_negative_cache'),
    flushAdd: flushAdder(configuration, log),
    softBounce: configuration.get('soft_bounce'),
  };
}

function flushAdder(configuration: Configuration, log: Log): Reporters['flushAdd'] {
  const text = configuration.get('fast_flush_domains');
  if (text.trim() === '') return async () => {};
  const name = configuration.get('flush_service_name');
  const client = new FlushClient({
    ...clientOptions(configuration, log),
    socketPath: `public/${name}`,
    oldDefault: hasOldDefault(configuration, 'fast_flush_domains'),
  });
  const domains = plainDomains(configuration, text);
  return async (site, queueId) => {
    if (domains !== undefined && !(await domains.matchName(site)).matched) return;
    const status = await client.add(site, queueId);
    if (status !== 0 && status !== FLUSH_STATUS.DENY) {
      log.warn({ kind: 'text', queueId, text: `${name} service failure` });
    }
  };
}

/** flush(8) decides; we only spare it the questions that we can answer without tables. */
function plainDomains(configuration: Configuration, text: string): MatchList | undefined {
  if (splitList(text).some((item) => item.includes(':') || item.includes('/'))) return undefined;
  const parents = splitList(configuration.get('parent_domain_matches_subdomains'));
  return parseMatchList(text, {
    name: 'fast_flush_domains',
    openTable: (table) => {
      throw new Error(`unexpected table ${table} in fast_flush_domains`);
    },
    parentDomains: parents.includes('fast_flush_domains'),
  });
}
