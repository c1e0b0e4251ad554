/** smtpd_sasl_type: opens the one that checks passwords. */
import { isIP, type Socket } from 'node:net';
import { parsePort, splitInetName } from '../../lib/config/inet-name.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { connectTo, type HostAddress } from '../../lib/net/connect.ts';
import { CyrusBackEnd } from '../../lib/sasl/cyrus.ts';
import { cyrusDirectories, readCyrusConf } from '../../lib/sasl/cyrus-conf.ts';
import { DovecotBackEnd } from '../../lib/sasl/dovecot-client.ts';
import type { SaslBackEnd } from '../../lib/sasl/exchange.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import type { PARAMETERS } from './parameters.ts';

const CONNECT_MS = 10_000;
/** The default of smtpd_sasl_path is made for `cyrus`; auth(8) is elsewhere. */
const DEFAULT_PATH = 'smtpd';
const OWN_PATH = 'private/auth';
const OWN_HINT = '; the service auth has to be in master.cf: see auth(8)';

type Context = ServiceContext<(typeof PARAMETERS)[number]>;

/**
 * To be called with root's rights: some back ends have files to read.
 *
 * @throws {FatalError} for a type that there is not
 */
export function openBackEnd(context: Context, resolver: Resolver): SaslBackEnd {
  const { smtpd_sasl_type: type, smtpd_sasl_path: path } = context.parameters;
  const { log } = context;
  switch (type) {
    case 'cyrus':
      return openCyrus(context);
    case 'dovecot':
      return new DovecotBackEnd({
        address: path,
        log,
        connect: () => connectToServer(path, resolver),
      });
    case 'posthaste': {
      const address = path === DEFAULT_PATH ? OWN_PATH : path;
      const connect = () => connectToServer(address, resolver);
      return new DovecotBackEnd({ address, connect, log, hint: OWN_HINT });
    }
    default:
      throw new FatalError(
        `smtpd_sasl_type = ${type}: unsupported SASL server implementation: specify cyrus, dovecot or posthaste`,
      );
  }
}

function openCyrus({ parameters, configuration, log }: Context): SaslBackEnd {
  const { cyrus_sasl_config_path: given, smtpd_sasl_path: name } = parameters;
  // Debian's Postfix does not even look at the parameter.
  const conf = readCyrusConf(name, cyrusDirectories(given, configuration.directory));
  for (const text of conf.warnings) log.warn(text);
  return new CyrusBackEnd({
    conf,
    hostname: parameters.myhostname,
    realm: parameters.smtpd_sasl_local_domain,
    service: parameters.smtpd_sasl_service,
    log,
  });
}

/** `private/auth`, `unix:private/auth`, `inet:127.0.0.1:12345`. */
async function connectToServer(name: string, resolver: Resolver): Promise<Socket> {
  const [, type = 'unix', rest = name] = /^(unix|inet):(.*)$/.exec(name) ?? [];
  if (type === 'unix') return connectTo({ path: rest }, { connectMs: CONNECT_MS });
  const { host, port } = splitInetName(rest);
  return connectTo(await addressOf(host || 'localhost', parsePort(port), resolver), {
    connectMs: CONNECT_MS,
  });
}

async function addressOf(host: string, port: number, resolver: Resolver): Promise<HostAddress> {
  if (isIP(host) !== 0) return { address: host, port };
  const { records, reason, status } = await resolver.lookupNative(host);
  const [first] = records;
  if (first === undefined) throw new Error(`host ${host} not found: ${reason || status}`);
  return { address: first.address, port };
}
