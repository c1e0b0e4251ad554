/**
 * `check_policy_service`: which server to ask, and how. Either a name, or a list in braces:
 * `{ inet:127.0.0.1:9998, timeout=10s, default_action=DUNNO }`. SMTPD_POLICY_README. Pure.
 */
import { parsePort, splitInetName } from '../../lib/config/inet-name.ts';
import { parseServiceOptions } from '../../lib/config/service-options.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Settings } from './rule.ts';

/** A policy server, and its `smtpd_policy_service_*`. */
export interface PolicyServer {
  /** As it is written: the table of its actions, in messages. */
  readonly text: string;
  /** `private/policy`, `127.0.0.1:9998`. */
  readonly address: string;
  readonly endpoint: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly timeoutSeconds: number;
  readonly idleSeconds: number;
  readonly lifeSeconds: number;
  /** Requests on one connection; 0: any number. */
  readonly requestLimit: number;
  readonly tryLimit: number;
  readonly retryDelaySeconds: number;
  readonly defaultAction: string;
  readonly context: string;
}

/** What may follow the name, and the parameter it stands for. */
const OPTIONS = {
  default_action: 'smtpd_policy_service_default_action',
  max_idle: 'smtpd_policy_service_max_idle',
  max_ttl: 'smtpd_policy_service_max_ttl',
  policy_context: 'smtpd_policy_service_policy_context',
  request_limit: 'smtpd_policy_service_request_limit',
  retry_delay: 'smtpd_policy_service_retry_delay',
  timeout: 'smtpd_policy_service_timeout',
  try_limit: 'smtpd_policy_service_try_limit',
} as const;

const COMPLAINTS = {
  braces: 'policy service syntax error: ',
  equals: 'malformed option: ',
  unknown: '',
};

/** Reads what follows `check_policy_service`. @throws {FatalError} when it makes no sense */
export function parsePolicyServer(text: string, settings: Settings): PolicyServer {
  const { name, value } = parseServiceOptions(text, OPTIONS, settings, COMPLAINTS);
  if (name === undefined) throw new FatalError(`empty policy service: "${text}"`);
  return {
    text,
    ...parseEndpoint(name),
    timeoutSeconds: value('timeout'),
    idleSeconds: value('max_idle'),
    lifeSeconds: value('max_ttl'),
    requestLimit: value('request_limit'),
    tryLimit: value('try_limit'),
    retryDelaySeconds: value('retry_delay'),
    defaultAction: value('default_action'),
    context: value('policy_context'),
  };
}

function parseEndpoint(name: string): Pick<PolicyServer, 'address' | 'endpoint'> {
  const [, type, rest = ''] = /^(\w+):(.+)$/.exec(name) ?? [];
  if (type === undefined) {
    throw new FatalError(`need service transport:endpoint instead of "${name}"`);
  }
  if (type === 'unix') return { address: rest, endpoint: { path: rest } };
  if (type !== 'inet') {
    throw new FatalError(`invalid transport name: ${type} in service: ${name}`);
  }
  const { host, port } = splitInetName(rest);
  return { address: rest, endpoint: { host: host || 'localhost', port: parsePort(port) } };
}
