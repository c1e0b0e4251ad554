import { chownSync, closeSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import type { Configuration } from '../lib/config/configuration.ts';
import { parsePort, splitInetName } from '../lib/config/inet-name.ts';
import { hostnameTrouble } from '../lib/config/machine.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import { FatalError } from '../lib/log/fatal.ts';
import { lookupGroup, lookupUser } from '../lib/os/identity.ts';
import { bindInet, bindUnix, bindUnixDatagram, makeFifo } from '../lib/os/sockets.ts';
import { isHost, listenAddresses } from './addresses.ts';

/** One socket that is open for a service's clients, and how to reach it ourselves. */
export interface Listener {
  readonly fd: number;
  readonly address:
    | { readonly kind: 'path'; readonly path: string }
    | { readonly kind: 'inet'; readonly host: string; readonly port: number };
}

/** Sockets in private/ are guarded by the directory. */
const PRIVATE_MODE = 0o666;
/**
 * public/ may be searched by everybody, since no program of ours is set-gid. Services that
 * ordinary users may talk to ask the kernel who they are; all others are for `setgid_group`.
 */
const PUBLIC_MODE = 0o660;
const OPEN_TO_ALL_MODE = 0o666;
const OPEN_TO_ALL = new Set(['pickup', 'showq', 'flush']);

/** How long the queue of clients that nobody has accepted yet may get, at least. */
export function backlogOf(entry: MasterEntry, defaultLimit: number): number {
  return Math.max(entry.maxproc ?? defaultLimit, defaultLimit);
}

/**
 * Names what a line of master.cf listens on: `private/NAME`, `public/NAME`, a port, or
 * `[host]:port`. Two lines with the same type and key are the same service.
 */
export function keyOf(entry: MasterEntry): string {
  if (entry.type !== 'inet') return `${entry.private ? 'private' : 'public'}/${entry.name}`;
  const { host, port } = splitInetName(entry.name);
  return host === '' ? String(parsePort(port)) : `[${host}]:${parsePort(port)}`;
}

/**
 * Opens the sockets of a service; paths are relative to the queue directory, where we are.
 *
 * @throws {OsError} naming the address when it cannot be had
 */
export function openListeners(entry: MasterEntry, configuration: Configuration): Listener[] {
  const backlog = backlogOf(entry, configuration.get('default_process_limit'));
  if (entry.type === 'inet') return openInet(entry, configuration, backlog);
  const path = keyOf(entry);
  const mode = modeOf(entry);
  const fd = openPath(entry.type, path, mode, backlog);
  if (process.getuid?.() === 0) giveAway(path, configuration);
  return [{ fd, address: { kind: 'path', path } }];
}

/** Sockets belong to `mail_owner`; those that are not open to all, to the group beside it. */
function giveAway(path: string, configuration: Configuration): void {
  const owner = configuration.get('mail_owner');
  const group = configuration.get('setgid_group');
  const user = lookupUser(owner);
  if (user === undefined) throw new FatalError(`mail_owner = ${owner}: there is no such user`);
  const gid = lookupGroup(group)?.gid;
  if (gid === undefined) throw new FatalError(`setgid_group = ${group}: there is no such group`);
  chownSync(path, user.uid, gid);
}

/** Nobody can connect any more. A socket's name stays: clients see "refused", not "missing". */
export function closeListeners(listeners: readonly Listener[]): void {
  for (const { fd } of listeners) closeSync(fd);
}

function modeOf(entry: MasterEntry): number {
  if (entry.private) return PRIVATE_MODE;
  return OPEN_TO_ALL.has(entry.name) ? OPEN_TO_ALL_MODE : PUBLIC_MODE;
}

function openPath(type: MasterEntry['type'], path: string, mode: number, backlog: number): number {
  if (type === 'fifo') return makeFifo(path, mode);
  if (type === 'unix-dgram') return bindUnixDatagram(path, mode);
  return bindUnix(path, mode, backlog);
}

function openInet(entry: MasterEntry, configuration: Configuration, backlog: number): Listener[] {
  const { host, port: portName } = splitInetName(entry.name);
  const place = `${entry.origin.file}: line ${entry.origin.line}`;
  const port = parsePort(portName);
  if (host !== '' && isIP(host) === 0 && hostnameTrouble(host) !== undefined) {
    const wanted = 'valid hostname or network address required in';
    throw new FatalError(`${place}: ${wanted} "${entry.name}"`);
  }
  if (host !== '' && !isHost(host)) {
    throw new FatalError(`${place}: bad hostname or network address: ${entry.name}`);
  }
  const listeners: Listener[] = [];
  try {
    for (const address of listenAddresses(configuration, host)) {
      const fd = bindInet(address, port, backlog);
      listeners.push({ fd, address: { kind: 'inet', host: reachable(address), port } });
    }
  } catch (error) {
    closeListeners(listeners);
    throw error;
  }
  return listeners;
}

/** Where a wake-up of ours reaches a socket that listens everywhere. */
function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return isIPv6(address) && address === '::' ? '::1' : address;
}
