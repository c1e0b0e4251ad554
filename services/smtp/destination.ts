/** What a nexthop says: a host and port, or a socket in the file system. Pure. */
import type { Protocol } from './settings.ts';

export type Destination =
  | {
      readonly kind: 'inet';
      /** As it was written. */
      readonly text: string;
      readonly host: string;
      readonly port: number;
      /** Mail exchangers are looked for: not for `[host]`, not in LMTP. */
      readonly lookupMx: boolean;
    }
  | { readonly kind: 'unix'; readonly text: string; readonly path: string };

export interface DestinationRules {
  readonly protocol: Protocol;
  /** `smtp_tcp_port`: a number or a service. */
  readonly defaultPort: string;
  readonly dnsEnabled: boolean;
  portOf(service: string): number | undefined;
}

const HOST_PORT = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/;

/** @returns a sentence when `text` is no destination */
export function parseDestination(text: string, rules: DestinationRules): Destination | string {
  if (rules.protocol === 'lmtp' && text.startsWith('unix:')) {
    return { kind: 'unix', text, path: text.slice('unix:'.length) };
  }
  const place =
    rules.protocol === 'lmtp' && text.startsWith('inet:') ? text.slice('inet:'.length) : text;
  const [matched, bracketed, plain, service] = HOST_PORT.exec(place) ?? [];
  if (matched === undefined) return `malformed host or port in server description: ${text}`;
  const host = (bracketed ?? plain ?? '').replace(/^ipv6:/i, '');
  if (host === '') return `missing host in server description: ${text}`;
  const port = portNumber(service ?? rules.defaultPort, rules);
  if (port === undefined) return `unknown service in server description: ${text}`;
  const lookupMx = rules.protocol === 'smtp' && rules.dnsEnabled && bracketed === undefined;
  return { kind: 'inet', text, host, port, lookupMx };
}

const PORT_MAX = 65_535;

function portNumber(text: string, rules: DestinationRules): number | undefined {
  if (!/^\d+$/.test(text)) return rules.portOf(text);
  const port = Number(text);
  return port > 0 && port <= PORT_MAX ? port : undefined;
}

/** Names of ports, should there be no /etc/services. */
const PORTS: Readonly<Record<string, number>> = {
  smtp: 25,
  lmtp: 24,
  smtps: 465,
  submissions: 465,
  submission: 587,
};

/** Reads the TCP services of services(5). */
export function parseServices(text: string): ReadonlyMap<string, number> {
  const ports = new Map(Object.entries(PORTS));
  for (const line of text.split('\n')) {
    const [, name, port, aliases = ''] = /^(\S+)\s+(\d+)\/tcp\s*([^#]*)/.exec(line) ?? [];
    if (name === undefined || name.startsWith('#')) continue;
    for (const word of [name, ...aliases.split(/\s+/)]) {
      if (word !== '' && !ports.has(word)) ports.set(word, Number(port));
    }
  }
  return ports;
}
