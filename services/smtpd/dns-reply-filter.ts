/**
 * smtpd_dns_reply_filter: records that smtpd does not want to have seen. Each is looked up as a line of
 * a zone, `example.com. 3600 IN MX 10 mail.example.com.`; IGNORE takes it away.
 */
import type { DnsAnswer } from '../../lib/dns/answer.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import type { Log } from '../../lib/log/log.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { type Note, warning } from './verdict.ts';

const ALL_DROPPED = 'DNS reply filter drops all results';

/** Whether there were records, and the filter took them all. */
export function isEmptied({ status, reason }: DnsAnswer<unknown>): boolean {
  return status === 'not-found' && reason.endsWith(ALL_DROPPED);
}

/** What the log says of a name whose records are all gone. */
export function emptiedNote(name: string, what: string): Note {
  return warning(`${name}: ${what} lookup error: ${ALL_DROPPED}`);
}

/** A resolver whose answers went through the filter. */
export function filteredResolver(resolver: Resolver, tables: TableList, log: Log): Resolver {
  const filter = async <T>(
    answer: Promise<DnsAnswer<T>>,
    textOf: (record: T) => string,
  ): Promise<DnsAnswer<T>> => {
    const found = await answer;
    if (found.status !== 'found') return found;
    const kept: T[] = [];
    try {
      for (const record of found.records) {
        const line = `${found.canonical}. ${found.ttl} IN ${textOf(record)}`;
        const action = (await tables.lookup(line))?.value;
        if (action === undefined) kept.push(record);
        else if (action.toUpperCase() === 'IGNORE') log.info(`ignoring DNS RR: ${line}`);
        else {
          log.warn(`${tables.parameter}: unknown DNS filter action: "${action}"`);
          return nothing(found, 'again', 'Invalid DNS reply filter syntax');
        }
      }
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return nothing(found, 'again', 'Invalid DNS reply filter syntax');
    }
    return kept.length > 0 ? { ...found, records: kept } : nothing(found, 'not-found', ALL_DROPPED);
  };
  const address = ({ family, address: text }: { family: 4 | 6; address: string }) =>
    `${family === 4 ? 'A' : 'AAAA'} ${text}`;
  return {
    ...native(resolver),
    lookupMx: (name) =>
      filter(
        resolver.lookupMx(name),
        ({ preference, exchange }) => `MX ${preference} ${exchange}.`,
      ),
    lookupNs: (name) => filter(resolver.lookupNs(name), (host) => `NS ${host}.`),
    lookupTxt: (name) => filter(resolver.lookupTxt(name), (text) => `TXT ${text}`),
    lookupPtr: (given) => filter(resolver.lookupPtr(given), (name) => `PTR ${name}.`),
    lookupAddresses: (name, families) => filter(resolver.lookupAddresses(name, families), address),
  };
}

/** What the system's own resolver says is not filtered. */
function native(resolver: Resolver): Pick<Resolver, 'lookupNative' | 'lookupNativeName'> {
  return {
    lookupNative: (name, families) => resolver.lookupNative(name, families),
    lookupNativeName: (address) => resolver.lookupNativeName(address),
  };
}

function nothing<T>(found: DnsAnswer<T>, status: 'again' | 'not-found', why: string): DnsAnswer<T> {
  const reason = `Error looking up name=${found.name} type=${found.type}: ${why}`;
  return { ...found, status, records: [], reason };
}
