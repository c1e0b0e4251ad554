/**
 * tlsproxy(8): speaks TLS with SMTP clients for servers that have no TLS of their own.
 *
 * Called by postscreen, with the open connection of a client that has said STARTTLS. Calls tlsmgr (keys
 * of session tickets); reads certificates and keys while it is still root. Start reading here, then
 * session.ts. The other role, of a client, is not built. Postfix: tlsproxy(8).
 */
import { clientOptions } from '../../lib/clients/options.ts';
import { TLSMGR_LIMITS, TlsmgrClient } from '../../lib/clients/tlsmgr.ts';
import type { EventService } from '../../lib/server/event-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { readDemands } from '../../lib/tls/server-settings.ts';
import { ServerTls } from '../../lib/tls/server-tls.ts';
import { type Name, PARAMETERS, serverSettings } from './parameters.ts';
import { Session } from './session.ts';

export const tlsproxy: EventService<Name, ServerTls | undefined> = {
  name: 'tlsproxy',
  parameters: PARAMETERS,
  requires: 'unlimited',
  finishesInBackground: true,
  watchdogSeconds: ({ parameters }) => parameters.tlsproxy_watchdog_timeout,
  open: openTls,
  serve: (socket, { log, configuration }, tls) =>
    new Session(socket, { log, tls, ipcMs: configuration.get('ipc_timeout') * 1000 }).run(),
  stop: (_context, tls) => tls?.close(),
};

/** @returns `undefined` when it is switched off */
function openTls(context: ServiceContext<Name>): ServerTls | undefined {
  const { configuration, log } = context;
  const parameters = serverSettings(context.parameters);
  const demands = readDemands(parameters, (text) => log.warn(text.replace(/^smtpd/, 'tlsproxy')));
  if (demands.level === 'none') {
    log.warn('TLS server role is disabled with tlsproxy_tls_security_level or tlsproxy_use_tls');
    return undefined;
  }
  const tlsmgr = new TlsmgrClient({
    ...clientOptions(configuration, log),
    ...TLSMGR_LIMITS,
    socketPath: `private/${context.parameters.tlsmgr_service_name}`,
  });
  const surroundings = {
    ...context,
    parameters,
    tlsmgr,
    withoutCertificates: "can't be enabled",
  };
  return new ServerTls(surroundings, demands, true);
}
