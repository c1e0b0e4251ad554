/** TLS of one smtpd, if it has any. */
import { clientOptions } from '../../lib/clients/options.ts';
import { TLSMGR_LIMITS, TlsmgrClient } from '../../lib/clients/tlsmgr.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { readDemands } from '../../lib/tls/server-settings.ts';
import { ServerTls } from '../../lib/tls/server-tls.ts';
import type { PARAMETERS } from './parameters.ts';

/** @param shakesHands false: no key is read, and nobody can */
export function openTls(
  context: ServiceContext<(typeof PARAMETERS)[number]>,
  shakesHands = true,
): ServerTls | undefined {
  const { configuration, parameters, log } = context;
  if (context.standalone) return undefined;
  const demands = readDemands(parameters, (text) => log.warn(text));
  if (demands.level === 'none') return undefined;
  const tlsmgr = new TlsmgrClient({
    ...clientOptions(configuration, log),
    ...TLSMGR_LIMITS,
    socketPath: `private/${parameters.tlsmgr_service_name}`,
  });
  return new ServerTls({ ...context, tlsmgr }, demands, shakesHands);
}
