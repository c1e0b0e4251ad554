/** What the name of an inet service in master.cf means: `smtp`, `[::1]:2525`. */
import { readFileSync } from 'node:fs';
import { FatalError } from '../log/fatal.ts';

const PORT_MAX = 65535;

/** What mail needs, for machines that ship no /etc/services. */
const KNOWN: Readonly<Record<string, number>> = {
  smtp: 25,
  smtps: 465,
  submissions: 465,
  submission: 587,
  qmqp: 628,
  lmtp: 24,
};

/** Splits `25`, `host:smtp`, `[::1]:25`, `:submission`. Postfix: master(5). */
export function splitInetName(name: string): { host: string; port: string } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(name);
  if (bracketed) return { host: bracketed[1] ?? '', port: bracketed[2] ?? '' };
  const colon = name.lastIndexOf(':');
  if (colon < 0) return { host: '', port: name };
  return { host: name.slice(0, colon), port: name.slice(colon + 1) };
}

/**
 * Turns `25` or `smtp` into a port number, by /etc/services.
 *
 * @throws {FatalError} for a name that nobody knows
 */
export function parsePort(name: string): number {
  if (/^\d+$/.test(name)) {
    const port = Number(name);
    if (port >= 1 && port <= PORT_MAX) return port;
    throw new FatalError(`bad port number "${name}": ports go from 1 to ${PORT_MAX}`);
  }
  const port = portInServices(name) ?? KNOWN[name];
  if (port !== undefined) return port;
  throw new FatalError(`unknown service name "${name}": neither a number nor in /etc/services`);
}

function portInServices(name: string): number | undefined {
  for (const line of readServices().split('\n')) {
    const words = (line.split('#')[0] ?? '').trim().split(/\s+/);
    const [port, protocol] = (words[1] ?? '').split('/');
    if (protocol !== 'tcp') continue;
    if (words[0] === name || words.slice(2).includes(name)) return Number(port);
  }
  return undefined;
}

function readServices(): string {
  try {
    return readFileSync('/etc/services', 'latin1');
  } catch {
    return '';
  }
}
