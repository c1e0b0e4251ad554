/** `flush/<site>`: the ids of the messages that wait for a site, one a line. queue.md 7.1. */
import {
  closeSync,
  constants,
  ftruncateSync,
  futimesSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { now, sleep } from '../../lib/clock/clock.ts';
import { isErrno } from '../../lib/os/error.ts';
import { flock } from '../../lib/os/locks.ts';
import { parseQueueId, type QueueId } from '../../lib/queue/queue-id.ts';

const FOLDER = 'flush';
const MODE = 0o600;
/** The longest domain name, and the brackets of an address literal. */
const SITE_LENGTH_MAX = 257;
/** A lock is held for one write or one read. */
const LOCK_PAUSE_MS = 20;
const LOCK_ATTEMPTS = 500;

/** Where a site's log is; undefined when the site can't have one. */
export function siteLogPath(site: string): string | undefined {
  if (site === '' || site.length > SITE_LENGTH_MAX) return undefined;
  return `${FOLDER}/${site.toLowerCase().replace(/[^a-z0-9]/g, '_')}`;
}

/** Notes that a message waits. */
export async function addToLog(path: string, id: QueueId): Promise<void> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const fd = openSync(path, O_APPEND | O_CREAT | O_NOFOLLOW | O_RDWR, MODE);
  try {
    await lock(fd, path);
    writeSync(fd, `${id}\n`);
  } finally {
    closeSync(fd);
  }
}

/** Empties a site's log. @returns the ids that were in it, each once */
export async function takeLog(path: string): Promise<ReadonlySet<QueueId>> {
  const fd = openIfThere(path);
  if (fd === undefined) return new Set();
  try {
    await lock(fd, path);
    const lines = readFileSync(fd, 'latin1').split('\n');
    const ids = lines.map(parseQueueId).filter((id) => id !== undefined);
    ftruncateSync(fd);
    const seconds = now() / 1000;
    futimesSync(fd, seconds, seconds);
    return new Set(ids);
  } finally {
    closeSync(fd);
  }
}

/**
 * The logs that nobody has taken for `ageSeconds`; the time of the last access says when. Empty
 * logs that have not changed for `purgeSeconds` are removed.
 */
export function oldLogs(ageSeconds: number, purgeSeconds: number): string[] {
  const seconds = now() / 1000;
  return readdirSync(FOLDER)
    .map((name) => `${FOLDER}/${name}`)
    .filter((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      if (!stats?.isFile()) return false;
      if (stats.size > 0) return stats.atimeMs / 1000 + ageSeconds <= seconds;
      if (stats.mtimeMs / 1000 + purgeSeconds < seconds) unlinkSync(path);
      return false;
    });
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function lock(fd: number, path: string): Promise<void> {
  for (let attempt = 1; !flock(fd, 'exclusive'); attempt += 1) {
    if (attempt === LOCK_ATTEMPTS) throw new Error(`lock ${path}: another process holds it`);
    await sleep(LOCK_PAUSE_MS);
  }
}
