/**
 * `postfix check`, which start runs too: makes the directories that are missing, refuses to go on
 * when something essential is not there, and warns about owners, modes, and parameters that are
 * set but that this project does not honour.
 */
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { lookupGroup, lookupUser } from '../../lib/os/identity.ts';
import type { Administration } from './administration.ts';
import { clearPasswordWarnings } from './clear-passwords.ts';
import { configurationTroubles } from './configuration-check.ts';
import { unhonoured } from './honoured.ts';
import { ownershipWarnings } from './ownership.ts';
import { saslWarnings } from './sasl-check.ts';

/** A directory below queue_directory: who owns it, and its mode. security.md section 3. */
interface Place {
  readonly name: string;
  readonly owner: 'root' | 'mail_owner';
  readonly group: 'root' | 'setgid_group';
  readonly mode: number;
}

const mailOwned = (name: string): Place => ({
  name,
  owner: 'mail_owner',
  group: 'root',
  mode: 0o700,
});

export const PLACES: readonly Place[] = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush'].map(mailOwned),
  ...['hold', 'incoming', 'journal', 'private', 'saved', 'trace'].map(mailOwned),
  { name: 'maildrop', owner: 'mail_owner', group: 'setgid_group', mode: 0o730 },
  // Everybody may search it: the sockets inside say who may use them.
  { name: 'public', owner: 'mail_owner', group: 'setgid_group', mode: 0o711 },
  { name: 'pid', owner: 'root', group: 'root', mode: 0o755 },
];

/** `postfix check`: warnings do not fail it. */
export function check(administration: Administration): number {
  if (!checkFatal(administration)) return 1;
  checkWarnings(administration);
  return 0;
}

/** What must be right before anything can start. Says what is not. */
export function checkFatal(administration: Administration): boolean {
  const { configuration, log } = administration;
  if (!checkConfiguration(administration)) return false;
  const missing = missingPart(configuration);
  if (missing !== undefined) {
    log.fatal(`no Postfix ${missing}!`);
    return false;
  }
  try {
    createMissing(administration);
  } catch (error) {
    log.fatal((error as Error).message);
    log.fatal('unable to create missing queue directories');
    return false;
  }
  return true;
}

/** Nothing can be done without these. */
function missingPart(configuration: Configuration): string | undefined {
  const commands = configuration.get('command_directory');
  if (!existsSync(commands)) return `command directory ${commands}`;
  const daemons = configuration.get('daemon_directory');
  if (!existsSync(daemons)) return `daemon directory ${daemons}`;
  if (!existsSync(`${daemons}/master`)) return `master program ${daemons}/master`;
  const queue = configuration.get('queue_directory');
  return existsSync(queue) ? undefined : `queue directory ${queue}`;
}

/** Whether the daemons can read main.cf and master.cf; says what is wrong with them. */
export function checkConfiguration({ configuration, log }: Administration): boolean {
  const troubles = configurationTroubles(configuration);
  for (const trouble of troubles) log.fatal(trouble);
  return troubles.length === 0;
}

/** What is suspicious, but no reason to stop the mail. */
export function checkWarnings(administration: Administration): void {
  const { configuration, log } = administration;
  const owners = process.getuid?.() === 0 ? ownershipWarnings(configuration) : [];
  for (const line of owners) log.warn(line);
  for (const line of unhonoured(configuration)) log.warn(line);
  for (const line of clearPasswordWarnings(configuration)) log.warn(line);
  for (const line of saslWarnings(configuration)) log.warn(line);
}

function createMissing({ configuration }: Administration): void {
  const root = process.getuid?.() === 0;
  for (const place of PLACES) {
    const path = configuration.queuePath(place.name);
    if (existsSync(path)) continue;
    mkdirSync(path);
    if (root) chownSync(path, uidOf(configuration, place), gidOf(configuration, place));
    chmodSync(path, place.mode);
  }
  const data = configuration.get('data_directory');
  if (existsSync(data)) return;
  mkdirSync(data, { recursive: true });
  if (root) chownSync(data, mailOwnerOf(configuration).uid, 0);
  chmodSync(data, 0o700);
}

type Configuration = Administration['configuration'];

function mailOwnerOf(configuration: Configuration) {
  const name = configuration.get('mail_owner');
  const user = lookupUser(name);
  if (user === undefined) throw new Error(`mail_owner = ${name}: there is no such user`);
  return user;
}

function uidOf(configuration: Configuration, place: Place): number {
  return place.owner === 'root' ? 0 : mailOwnerOf(configuration).uid;
}

function gidOf(configuration: Configuration, place: Place): number {
  if (place.group === 'root') return 0;
  const name = configuration.get('setgid_group');
  const group = lookupGroup(name);
  if (group === undefined) throw new Error(`setgid_group = ${name}: there is no such group`);
  return group.gid;
}
