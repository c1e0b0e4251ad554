/**
 * Going through maildrop: each message that is ready goes to cleanup, until a round finds nothing to
 * remove. Memory does not grow with the number of files.
 */
import { closeSync, constants, fstatSync, opendirSync, openSync, unlinkSync } from 'node:fs';
import { IpcError } from '../../lib/ipc/error.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';
import { isReady } from '../../lib/queue/queue-file.ts';
import { parseQueueId } from '../../lib/queue/queue-id.ts';
import { type MaildropFile, takeFile } from './maildrop-file.ts';
import type { Pickup } from './settings.ts';

const MAILDROP = 'maildrop';

/** Takes everything that is there. */
export async function scanMaildrop(pickup: Pickup): Promise<void> {
  let removed: number;
  do {
    removed = 0;
    const folder = opendirSync(MAILDROP);
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        if (pickup.stopping.aborted) return;
        if (await takeEntry(pickup, entry.name)) removed += 1;
      }
    } finally {
      folder.closeSync();
    }
  } while (removed > 0);
}

/** @returns whether the file is gone */
async function takeEntry(pickup: Pickup, name: string): Promise<boolean> {
  if (name.length < 2 || parseQueueId(name) === undefined) return false;
  const file = openFile(pickup, name);
  if (file === undefined) return false;
  try {
    const verdict = await takeFile(pickup, file);
    if (verdict === 'remove') unlinkSync(file.path);
    return verdict === 'remove';
  } catch (error) {
    if (!(error instanceof IpcError) && !isErrno(error, 'ENOENT', 'EIO')) throw error;
    // The file stays; the next round finds it.
    pickup.log.warn(`${file.path}: ${errorText(error)}`);
    return false;
  } finally {
    closeSync(file.fd);
  }
}

/** Opens a message that is complete: a regular file with one name, no symbolic link. */
function openFile(pickup: Pickup, name: string): MaildropFile | undefined {
  const path = `${MAILDROP}/${name}`;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) pickup.log.warn(`open ${path}: ${errorText(error)}`);
    return undefined;
  }
  const stats = fstatSync(fd);
  if (isReady(stats) && stats.nlink === 1 && stats.size > 0) return { fd, path, id: name, stats };
  if (stats.nlink > 1) pickup.log.warn(`${path}: file has ${stats.nlink} names, skipped`);
  closeSync(fd);
  return undefined;
}
