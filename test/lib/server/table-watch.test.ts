import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonic } from '../../../lib/clock/clock.ts';
import type { Configuration } from '../../../lib/config/configuration.ts';
import type { Log } from '../../../lib/log/log.ts';
import { TableWatch } from '../../../lib/server/table-watch.ts';
import { openTable, type Table } from '../../../lib/table/table.ts';

const configuration = { text: () => '' } as unknown as Configuration;

/** A watch over one table that changes when told to. */
function watching() {
  const names: string[] = [];
  const watch = new TableWatch(configuration, {} as Log, (name) => names.push(name));
  const table = openTable('inline:{a=b}', watch);
  let changed = false;
  watch.opened({ ...table, name: 'hash:/x', changed: () => changed });
  return {
    watch,
    names,
    change: () => {
      changed = true;
    },
    recover: (): Table => ({ ...table, changed: () => false }),
  };
}

test('a table that was opened with the watch is watched; its change is told once', () => {
  const { watch, names, change } = watching();
  const lookedAt = monotonic();
  watch.lookNow();
  assert.deepEqual([names, watch.isOutdated], [[], false]);
  change();
  watch.look();
  if (monotonic() - lookedAt < 1000) assert.deepEqual(names, [], 'it has just looked');
  watch.lookNow();
  watch.lookNow();
  assert.deepEqual([names, watch.isOutdated], [['table hash:/x'], true]);
});

test('tables that were opened anew are watched instead', () => {
  const { watch, names, change, recover } = watching();
  change();
  watch.lookNow();
  watch.renew(() => watch.opened(recover()));
  watch.lookNow();
  assert.deepEqual([names, watch.isOutdated], [['table hash:/x'], false]);
});
