import { readFileSync } from 'node:fs';
import { FatalError } from '../lib/log/fatal.ts';

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
