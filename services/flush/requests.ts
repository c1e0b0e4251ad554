/** What flush(8) does for each request: ipc.md 3.8. */

import type { MatchList } from '../../lib/config/match-list.ts';
import type { Log } from '../../lib/log/log.ts';
import { printable } from '../../lib/log/printable.ts';
import { parseQueueId } from '../../lib/queue/queue-id.ts';
import type { Hashing } from '../../lib/queue/queue-path.ts';
import { makeDue } from './due.ts';
import { addToLog, oldLogs, siteLogPath, takeLog } from './site-log.ts';

export const STATUS = { ok: 0, bad: 3, deny: 4, fail: -1 } as const;

export type FlushRequest =
  | { readonly name: 'add'; readonly site: string; readonly queueId: string }
  | { readonly name: 'send_site'; readonly site: string }
  | { readonly name: 'send_file'; readonly queueId: string }
  | { readonly name: 'rfrsh' | 'purge' };

export interface FlushSettings {
  /** fast_flush_domains: the sites that have a log. */
  readonly domains: MatchList;
  readonly hashing: Hashing;
  readonly triggerQueueManager: (bytes: string) => Promise<boolean>;
  readonly refreshSeconds: number;
  readonly purgeSeconds: number;
  readonly log: Log;
}

/** Bytes for qmgr: forget dead sites; scan incoming. */
const UNTHROTTLE = 'F';
const SCAN = 'I';

/** Does what is asked. @returns the status for the reply */
export async function runRequest(request: FlushRequest, settings: FlushSettings): Promise<number> {
  switch (request.name) {
    case 'add':
      return addMessage(request.site, request.queueId, settings);
    case 'send_site':
      return sendSite(request.site, settings);
    case 'send_file':
      return sendFile(request.queueId, settings);
    case 'rfrsh':
      return sendOld(settings, settings.refreshSeconds);
    case 'purge':
      return sendOld(settings, 0);
  }
}

async function addMessage(
  site: string,
  queueId: string,
  { domains, log }: FlushSettings,
): Promise<number> {
  const id = parseQueueId(queueId);
  if (id === undefined) {
    log.warn(`bad queue id in flush request: ${printable(queueId.slice(0, 100))}`);
    return STATUS.bad;
  }
  const path = siteLogPath(site);
  if (path === undefined || !(await domains.matchName(site)).matched) return STATUS.deny;
  await addToLog(path, id);
  return STATUS.ok;
}

async function sendSite(site: string, settings: FlushSettings): Promise<number> {
  const path = siteLogPath(site);
  if (path === undefined || !(await settings.domains.matchName(site)).matched) return STATUS.deny;
  await settings.triggerQueueManager(UNTHROTTLE);
  if (await sendLogged(path, settings)) await settings.triggerQueueManager(SCAN);
  return STATUS.ok;
}

async function sendFile(queueId: string, settings: FlushSettings): Promise<number> {
  const id = parseQueueId(queueId);
  if (id === undefined) return STATUS.bad;
  if (makeDue(id, settings.hashing, { unthrottle: true })) {
    await settings.triggerQueueManager(SCAN);
  }
  return STATUS.ok;
}

/** Sends what nobody has asked for in a long time: a forgotten log must not keep mail waiting. */
async function sendOld(settings: FlushSettings, ageSeconds: number): Promise<number> {
  let moved = false;
  for (const path of oldLogs(ageSeconds, settings.purgeSeconds)) {
    moved = (await sendLogged(path, settings)) || moved;
  }
  if (moved) await settings.triggerQueueManager(SCAN);
  return STATUS.ok;
}

/** @returns whether there was anything to try */
async function sendLogged(path: string, { hashing }: FlushSettings): Promise<boolean> {
  let moved = false;
  for (const id of await takeLog(path)) moved = makeDue(id, hashing) || moved;
  return moved;
}
