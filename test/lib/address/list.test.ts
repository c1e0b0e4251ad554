import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressesIn,
  foldAddressLines,
  rewriteAddressList,
  rewriteHeader,
} from '../../../lib/address/list.ts';

const ADDRESSES: readonly (readonly [list: string, addresses: readonly string[]])[] = [
  ['a@b', ['a@b']],
  ['a, b@c, "d e"@f', ['a', 'b@c', 'd e@f']],
  ['Joe <joe@x>, "Ann, B." <ann@y>', ['joe@x', 'ann@y']],
  ['joe (a comment, with (nested) commas) @ host', ['joe@host']],
  ['friends: a@b, c <d@e>; f@g', ['a@b', 'd@e', 'f@g']],
  ['undisclosed-recipients:;', []],
  ['one@x two@y', ['one@x', 'two@y']],
  ['<@r1,@r2:user@dom>', ['@r1,@r2:user@dom']],
  ['user@[10.0.0.1]', ['user@[10.0.0.1]']],
  ['host!user, user%x@y', ['host!user', 'user%x@y']],
  ['', []],
  [' ,, ,', []],
  ['<>', []],
  ['"unclosed', ['unclosed']],
  ['(unclosed', []],
  ['a\\@b@c', ['a@b@c']],
];

for (const [list, addresses] of ADDRESSES) {
  test(`addresses in ${JSON.stringify(list)}`, () => {
    assert.deepEqual(addressesIn(list), addresses);
  });
}

const qualify = (address: string) => (address.includes('@') ? address : `${address}@dom`);

const REWRITES: readonly (readonly [list: string, rewritten: string])[] = [
  ['a@b,  c@d', 'a@b,  c@d'],
  ['a,  c@d', 'a@dom, c@d'],
  ['Joe  <joe>,Ann<ann@x>', 'Joe <joe@dom>, Ann <ann@x>'],
  ['"J. R." <jr> (his own)', '"J. R." <jr@dom>(his own)'],
  ['a:b,c;', 'a: b@dom, c@dom;'],
];

for (const [list, rewritten] of REWRITES) {
  test(`${JSON.stringify(list)} is rewritten in place`, async () => {
    assert.equal(await rewriteAddressList(list, qualify), rewritten);
  });
}

test('lines are filled, and no further', async () => {
  const list = Array.from({ length: 8 }, (_, n) => `somebody.${n}`).join(', ');
  const header = await rewriteHeader(`To: ${list}`, qualify);
  assert.equal(
    header,
    'To: somebody.0@dom, somebody.1@dom, somebody.2@dom, somebody.3@dom,\n' +
      '\tsomebody.4@dom, somebody.5@dom, somebody.6@dom, somebody.7@dom',
  );
  assert.equal(foldAddressLines('To: a'), 'To: a');
});

test('too long comments are dropped, and that is told', async () => {
  const told: string[] = [];
  const list = `a (${'x'.repeat(300)})`;
  const result = await rewriteAddressList(list, qualify, { onStrip: (text) => told.push(text) });
  assert.equal(result, '<a@dom>');
  assert.equal(told.length, 1);
});

test('of too many words the first are looked at', () => {
  assert.deepEqual(addressesIn('a, b, c, d', 3), ['a', 'b']);
});

test('a rewritten list has the same addresses, whatever it was', async () => {
  const pieces = fc.constantFrom(...'<>@".,:;()[]\\ ab\tcd'.split(''));
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 60 }), async (parts) => {
      const list = parts.join('');
      assert.equal(await rewriteAddressList(list, (address) => address), list);
      const result = await rewriteAddressList(list, () => 'user@example.com');
      for (const address of addressesIn(result)) assert.equal(address, 'user@example.com');
    }),
    { numRuns: 2000 },
  );
});
