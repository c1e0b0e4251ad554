/**
 * anvil(8): counts what each client does, for all processes of a server.
 *
 * Called by smtpd, which says when a client connects, sends or leaves, and enforces the limits
 * itself. Calls nobody, touches no file: what it knows is gone when it leaves, which it does not
 * before the last time unit is over. Postfix: anvil(8).
 */
import { every, now } from '../../lib/clock/clock.ts';
import type { Attribute } from '../../lib/ipc/attributes.ts';
import { str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import type { Log } from '../../lib/log/log.ts';
import type { MultiService } from '../../lib/server/multi-server.ts';
import { ClientTable, type Reporter } from './client-table.ts';
import { Peaks } from './peaks.ts';

interface State {
  readonly table: ClientTable;
  readonly peaks: Peaks;
}

const REQUEST = { request: str, ident: str };
const OK: Attribute = ['status', 0];
const FAIL: Attribute = ['status', -1];

export const anvil: MultiService<'anvil_rate_time_unit' | 'anvil_status_update_time', State> = {
  name: 'anvil',
  parameters: ['anvil_rate_time_unit', 'anvil_status_update_time'],
  protocol: PROTOCOLS.anvil,
  form: 'plain',
  requires: 'solitary',
  useLimit: false,
  idleLimit: ({ parameters }) => parameters.anvil_rate_time_unit,
  open({ parameters }) {
    const peaks = new Peaks(parameters.anvil_rate_time_unit);
    return { table: new ClientTable(parameters.anvil_rate_time_unit * 1000, peaks), peaks };
  },
  start({ parameters, log }, state) {
    every(parameters.anvil_status_update_time * 1000, () => logPeaks(log, state)).unref();
  },
  async serve(connection, { log }, { table }) {
    const reporter: Reporter = {};
    try {
      for (;;) {
        const asked = await connection.receive(REQUEST, { extra: true });
        if (asked === undefined) return;
        const reply = answer(asked.request, asked.ident, reporter, table);
        if (reply === undefined) log.warn(`unrecognized request: "${asked.request}", ignored`);
        await connection.send(reply ?? [FAIL]);
      }
    } finally {
      table.release(reporter, now());
    }
  },
  stop: ({ log }, state) => logPeaks(log, state),
};

function logPeaks(log: Log, { peaks }: State): void {
  for (const line of peaks.take()) log.info(line);
}

/** @returns undefined for a request that we don't know */
function answer(
  request: string,
  ident: string,
  reporter: Reporter,
  table: ClientTable,
): Attribute[] | undefined {
  const time = now();
  switch (request) {
    case 'connect': {
      const { count, rates } = table.connect(ident, reporter, time);
      return [OK, ['count', count], ['rate', rates.connection]];
    }
    case 'disconnect':
      table.disconnect(ident, reporter, time);
      return [OK];
    case 'message':
    case 'recipient':
    case 'newtls':
    case 'auth':
      return [OK, ['rate', table.add(request, ident, reporter, time)]];
    case 'newtls_status':
      return [OK, ['rate', table.lookup(ident, time).rates.newtls]];
    case 'lookup': {
      const { count, rates } = table.lookup(ident, time);
      return [
        OK,
        ['count', count],
        ['rate', rates.connection],
        ['mail', rates.message],
        ['rcpt', rates.recipient],
        ['newtls', rates.newtls],
        ['auth', rates.auth],
      ];
    }
    default:
      return undefined;
  }
}
