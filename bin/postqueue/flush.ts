/** `postqueue -f`, `-s` and `-i`: asks for another attempt. */
import { isIP } from 'node:net';
import { FLUSH_STATUS, FlushClient } from '../../lib/clients/flush.ts';
import { hasOldDefault } from '../../lib/config/compatibility.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { hostnameTrouble } from '../../lib/config/machine.ts';
import { openMatchList } from '../../lib/config/match-list.ts';
import type { Log } from '../../lib/log/log.ts';
import { printable } from '../../lib/log/printable.ts';
import { openTable } from '../../lib/table/table.ts';
import { type WakeUpTrouble, wakeUp } from '../wake-up/wake-up.ts';

/** For qmgr: forget what is dead, look at all mail, deferred and incoming. */
const TRY_ALL = 'FADI';
/** For pickup. */
const LOOK = 'W';

const DOWN = 'Cannot flush mail queue - mail system is down';
const QUEUE_ID = /^[A-Za-z0-9_]+$/;

type Warn = (text: string) => Promise<void>;

/** Tries all mail. @throws {Error} with Postfix's text */
export async function flushAll(configuration: Configuration, warn: Warn): Promise<void> {
  const names = [
    [configuration.get('queue_service_name'), TRY_ALL],
    [configuration.get('pickup_service_name'), LOOK],
  ] as const;
  for (const [name, bytes] of names) {
    const trouble = await wakeUp(`public/${name}`, bytes, configuration);
    if (trouble !== undefined) await refuse(trouble, configuration, warn);
  }
}

async function refuse(
  trouble: WakeUpTrouble,
  configuration: Configuration,
  warn: Warn,
): Promise<never> {
  await warn(trouble.text);
  if (!trouble.denied) throw new Error(DOWN);
  const group = configuration.get('setgid_group');
  throw new Error(
    `Cannot flush mail queue - only root and members of group ${group} may try all mail; ` +
      'use postqueue -i or -s',
  );
}

/** Tries the mail for a site. @throws {Error} with Postfix's text */
export async function flushSite(
  site: string,
  configuration: Configuration,
  log: Log,
): Promise<void> {
  const literal = /^\[(?:ipv6:)?(.*)\]$/i.exec(site)?.[1];
  const valid = literal === undefined ? hostnameTrouble(site) === undefined : isIP(literal) !== 0;
  if (!valid) {
    throw new Error(`Cannot flush mail queue - invalid destination: "${printable(site)}"`);
  }
  const domains = openMatchList(configuration, 'fast_flush_domains', (name) =>
    openTable(name, { configuration, log }),
  );
  const configured = await domains.matchName(site);
  const status = configured.matched
    ? await ask(configuration, log, (client) => client.sendSite(site))
    : FLUSH_STATUS.DENY;
  if (status === FLUSH_STATUS.DENY) {
    throw new Error(`Flush service is not configured for destination "${site}"`);
  }
  if (status !== FLUSH_STATUS.OK) throw new Error(DOWN);
}

/** Tries one message. @throws {Error} with Postfix's text */
export async function flushMessage(
  id: string,
  configuration: Configuration,
  log: Log,
): Promise<void> {
  if (!QUEUE_ID.test(id)) {
    throw new Error(`Cannot flush queue ID - invalid name: "${printable(id)}"`);
  }
  const status = await ask(configuration, log, (client) => client.sendFile(id));
  if (status !== FLUSH_STATUS.OK) throw new Error(DOWN);
}

async function ask(
  configuration: Configuration,
  log: Log,
  request: (client: FlushClient) => Promise<number>,
): Promise<number> {
  const socketPath = `public/${configuration.get('flush_service_name')}`;
  const oldDefault = hasOldDefault(configuration, 'fast_flush_domains');
  const client = new FlushClient({ socketPath, log, oldDefault });
  try {
    return await request(client);
  } finally {
    client.close();
  }
}
