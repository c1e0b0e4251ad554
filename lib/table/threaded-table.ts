/** A table whose lookups are left to threads: it may take longer than an event loop can. */
import type { Table, TableContext } from './definition.ts';
import { TableError } from './definition.ts';
import { usesUtf8 } from './fold.ts';
import { LookupThreads } from './lookup-threads.ts';

/** Two, so that one key that takes its time does not hold up all others. */
const THREADS = 2;

export interface ThreadedTable extends Table {
  /** Its threads have opened it: with the rights that we had until then. */
  readonly ready: Promise<unknown>;
}

/** @param lost a thread is lost: the process should make room for one that has all of them */
export function answerInThreads(
  table: Table,
  context: TableContext,
  { limitMs, lost }: { readonly limitMs: number; readonly lost: () => void },
): ThreadedTable {
  const parameter = table.name;
  const { substitution, fold } = context;
  const opening = LookupThreads.open({
    lists: [{ parameter, tables: table.name, substitution, fold }],
    threads: THREADS,
    limitMs,
    utf8: usesUtf8(context),
    lost,
  });
  // Whoever asks hears of it.
  opening.catch(() => {});
  return {
    name: table.name,
    pattern: table.pattern,
    mayStall: true,
    changed: () => table.changed(),
    ready: opening,
    async lookup(key) {
      const threads = await opening.catch((cause: Error) => {
        throw new TableError(`table ${table.name}: no thread: ${cause.message}`, { cause });
      });
      const [reply] = await threads.ask([{ parameter, key }]);
      for (const warning of reply?.warnings ?? []) context.log?.warn(warning);
      if (reply?.trouble !== undefined) throw new TableError(reply.trouble);
      return reply?.found?.value;
    },
    close() {
      table.close();
      opening.then((threads) => threads.close()).catch(() => {});
    },
  };
}
