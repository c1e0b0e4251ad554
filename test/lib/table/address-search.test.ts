import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AddressKeyRules,
  addressKeys,
  DEFAULT_KEYS,
  domainKeys,
  search,
} from '../../../lib/table/address-search.ts';
import { openTables } from '../../../lib/table/table.ts';

const PLUS: AddressKeyRules = { ...DEFAULT_KEYS, delimiters: '+' };
const TRANSPORT: AddressKeyRules = {
  delimiters: '+',
  bareUser: 'never',
  atDomain: false,
  domain: 'dot-parents',
};
const ACCESS: AddressKeyRules = { ...TRANSPORT, domain: 'parents', userAt: true };
const quote = (address: string) => address.replace(/^(.* .*)@/, '"$1"@');

/** `(...)`: only for domains of our own; `-`: not for pattern tables. */
function shown(address: string, rules: AddressKeyRules): string {
  const keys = [...addressKeys(address, rules)].map(({ key, partial, ownDomainOnly }) =>
    ownDomainOnly ? `(${key})` : partial ? `-${key}` : key,
  );
  return keys.join(' ');
}

const ORDERS: readonly [string, AddressKeyRules, string][] = [
  ['u@d.e', DEFAULT_KEYS, 'u@d.e (u) -@d.e'],
  ['u+x@d.e', DEFAULT_KEYS, 'u+x@d.e (u+x) -@d.e'],
  ['u+x@d.e', PLUS, 'u+x@d.e -u@d.e (u+x) (u) -@d.e'],
  ['u+x+y@d.e', PLUS, 'u+x+y@d.e -u@d.e (u+x+y) (u) -@d.e'],
  ['+u@d.e', PLUS, '+u@d.e (+u) -@d.e'],
  ['Postmaster+@d', PLUS, 'Postmaster+@d -Postmaster@d (Postmaster+) (Postmaster) -@d'],
  ['u+x', PLUS, 'u+x -u'],
  ['@d.e', PLUS, '@d.e -@d.e'],
  ['u@v@d.e', PLUS, 'u@v@d.e (u@v) -@d.e'],
  ['owner-x@d', { ...PLUS, delimiters: '-' }, 'owner-x@d (owner-x) -@d'],
  ['x-request@d', { ...PLUS, delimiters: '-' }, 'x-request@d (x-request) -@d'],
  [
    'x-request@d',
    { ...PLUS, delimiters: '-', ownerRequestSpecial: false },
    'x-request@d -x@d (x-request) (x) -@d',
  ],
  ['u+x@c.d.e', TRANSPORT, 'u+x@c.d.e -u@c.d.e -c.d.e -.d.e -.e'],
  ['u+x@d.e', ACCESS, 'u+x@d.e -u@d.e -d.e -e -u+x@ -u@'],
  ['u v@d', { ...DEFAULT_KEYS, quote }, '"u v"@d u v@d (u v) -@d'],
];

for (const [address, rules, keys] of ORDERS) {
  test(`the keys of ${address} (${JSON.stringify(rules)})`, () => {
    assert.equal(shown(address, rules), keys);
  });
}

test('a domain and its parents', () => {
  assert.deepEqual([...domainKeys('a.b.c', 'exact')], ['a.b.c']);
  assert.deepEqual([...domainKeys('a.b.c', 'parents')], ['a.b.c', 'b.c', 'c']);
  assert.deepEqual([...domainKeys('a.b.c', 'dot-parents')], ['a.b.c', '.b.c', '.c']);
});

test('for each key all tables are asked before the next key', async () => {
  const tables = openTables('inline:{@d=first}, inline:{u@d=second}', { parameter: 'x_maps' });
  const found = await search(tables, addressKeys('u+x@d', PLUS));
  assert.deepEqual(found, {
    value: 'second',
    table: 'inline:{u@d=second}',
    key: 'u@d',
    extension: '+x',
  });
});

test('the user alone is asked for only in domains of our own', async () => {
  const tables = openTables('inline:{u=found}', { parameter: 'x_maps' });
  const ask = (own: boolean) => search(tables, addressKeys('u@d', PLUS), () => own);
  assert.equal(await ask(false), undefined);
  assert.equal((await ask(true))?.value, 'found');
});
