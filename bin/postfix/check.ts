/**
 * `postfix check`, which start runs too: makes the directories that are missing, refuses to go on
 * when something essential is not there, and warns about owners, modes, and parameters that are
 * set but that this project does not honour.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { lookupGroup, lookupUser } from '../../lib/os/identity.ts';
import type { Administration } from './administration.ts';
import { configurationTroubles } from './configuration-check.ts';
import { unhonoured } from './honoured.ts';

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

const PLACES: readonly Place[] = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush'].map(mailOwned),
  ...['hold', 'incoming', 'private', 'saved', 'trace'].map(mailOwned),
  { name: 'maildrop', owner: 'mail_owner', group: 'setgid_group', mode: 0o730 },
  // Everybody may search it: the sockets inside say who may use them.
  { name: 'public', owner: 'mail_owner', group: 'setgid_group', mode: 0o711 },
  { name: 'pid', owner: 'root', group: 'root', mode: 0o755 },
];

const GROUP_OR_OTHERS_WRITE = 0o022;

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
  const queue = configuration.get('queue_directory');
  if (!existsSync(queue)) {
    log.fatal(`no Postfix queue directory ${queue}!`);
    return false;
  }
  try {
    createMissing(administration);
  } catch (error) {
    log.fatal((error as Error).message);
    return false;
  }
  return true;
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
  if (process.getuid?.() === 0) checkOwners(administration);
  for (const id of readdirSync(configuration.queuePath('corrupt'))) {
    log.warn(`damaged message: corrupt/${id}`);
  }
  for (const line of unhonoured(configuration)) log.warn(line);
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

function checkOwners({ configuration, log }: Administration): void {
  const queue = configuration.get('queue_directory');
  const configured = ['', 'main.cf', 'master.cf'].map((name) =>
    join(configuration.directory, name),
  );
  for (const path of [queue, ...configured]) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.uid !== 0) log.warn(`not owned by root: ${path}`);
    if (stat.mode & GROUP_OR_OTHERS_WRITE) log.warn(`group or other writable: ${path}`);
  }
  const owner = configuration.get('mail_owner');
  for (const place of PLACES) {
    const path = configuration.queuePath(place.name);
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) log.warn(`symlink leaves directory: ${path}`);
    if (stat.uid !== uidOf(configuration, place)) {
      log.warn(`not owned by ${place.owner === 'root' ? 'root' : owner}: ${path}`);
    }
    if (place.group === 'setgid_group' && stat.gid !== gidOf(configuration, place)) {
      log.warn(`not owned by group ${configuration.get('setgid_group')}: ${path}`);
    }
  }
}
