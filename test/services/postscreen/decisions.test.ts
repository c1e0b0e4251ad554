/** What postscreen decides without asking anybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../../lib/log/log.ts';
import { Cache } from '../../../services/postscreen/cache.ts';
import { addressIn, nextWord } from '../../../services/postscreen/commands.ts';
import { parseListSite, ScoreSum } from '../../../services/postscreen/list-sites.ts';
import {
  dueTests,
  formatExpiry,
  isNew,
  newExpiry,
  parseExpiry,
} from '../../../services/postscreen/reputation.ts';
import { eventually } from '../../support/condition.ts';

test('a list has a domain, a filter and a weight', () => {
  const { domain, weight, matches } = parseListSite('key.list.test=127.0.[0;2].[2..4]*-3');
  assert.deepEqual([domain, weight], ['key.list.test', -3]);
  assert.deepEqual(['127.0.2.4', '127.0.1.4', '127.0.0.5'].map(matches), [true, false, false]);
  assert.equal(parseListSite('list.test').weight, 1);
});

const BAD_SITES: Readonly<Record<string, RegExp>> = {
  'list.test*x': /bad DNSBL weight factor "x" in "list\.test\*x"/,
  'list.test*': /bad DNSBL weight factor ""/,
  'list.test=127.0.0': /bad DNSBL filter syntax/,
  'list.test=127.0.0.[9..2]': /bad DNSBL filter range/,
  'li st*2': /bad DNSBL domain name "li st" in "li st\*2"/,
};
for (const [text, expected] of Object.entries(BAD_SITES)) {
  test(`"${text}" is no list`, () => assert.throws(() => parseListSite(text), expected));
}

test('answers of lists add up; the heaviest gives the name, the shortest time counts', () => {
  const sum = new ScoreSum();
  const site = parseListSite;
  sum.add([site('a.test*2'), site('a.test=127.0.0.9')], ['127.0.0.2', '127.0.0.9'], 300);
  assert.deepEqual(sum.score, { total: 3, domain: 'a.test', ttl: 300 });
  sum.add([site('b.test*5')], ['127.0.0.2'], 100);
  assert.deepEqual(sum.score, { total: 8, domain: 'b.test', ttl: 100 });
  sum.add([site('good.test*-9')], ['127.0.0.2'], 500);
  assert.deepEqual(sum.score, { total: -1, domain: 'b.test', ttl: 500 });
  // A friend is missing: that may change, but not what speaks for the client.
  sum.add([site('other.test*-9')], [], 50);
  assert.equal(sum.score.ttl, 500);
  // Nobody said how long it is not listed.
  sum.add([site('c.test')], [], -1);
  assert.deepEqual(sum.score, { total: -1, domain: 'b.test', ttl: 0 });
});

test('a cache forgets what is of no use any more, and says how much', async () => {
  const lines: string[] = [];
  const take = (text: string) => lines.push(text);
  const log = { info: take, warn: take } as unknown as Log;
  const settings = { postscreen_cache_map: '', postscreen_cache_cleanup_interval: 100 };
  const cache = new Cache(settings, '', log);
  for (let at = 0; at < 2500; at += 1) cache.put(`client ${at}`, at % 5 === 0 ? 'kept' : 'old');
  cache.start((value) => value === 'kept');
  await eventually('the log', () => lines.length > 0);
  assert.deepEqual(lines, ['cache  full cleanup: retained=500 dropped=2000 entries']);
  assert.equal(cache.get('client 1'), undefined);
  assert.equal(cache.get('client 2495'), 'kept');
  // It knows when that was.
  cache.start(() => false);
  assert.equal(cache.get('client 2495'), 'kept');
  cache.close();
  cache.put('client 1', 'lost');
  assert.equal(cache.get('client 2495'), undefined);
  assert.match(lines.slice(1).join('\n'), /^cannot write cache : .*\ncannot read cache : .*$/);
});

test('what a client has passed is remembered test by test', () => {
  const enabled = new Set(['pregreet', 'dnsbl', 'nonSmtp']);
  const isEnabled = (name: string) => enabled.has(name);
  const fresh = newExpiry();
  assert.deepEqual(dueTests(fresh, 1000, isEnabled), ['pregreet', 'dnsbl', 'nonSmtp']);
  assert.equal(isNew(fresh), true);
  const known = parseExpiry('2000;1000;1;1;1');
  assert.equal(isNew(known), false);
  assert.deepEqual(dueTests(known, 1500, isEnabled), ['dnsbl', 'nonSmtp']);
  assert.equal(formatExpiry({ ...fresh, pregreet: 5000 }, isEnabled), '5000;0;1;0;1');
  for (const odd of ['', 'x;y', '2000', '9'.repeat(99)]) {
    assert.deepEqual(
      dueTests(parseExpiry(odd), 10, (name) => name === 'dnsbl'),
      ['dnsbl'],
    );
  }
});

const ADDRESSES: readonly (readonly [argument: string, address: string | undefined])[] = [
  ['FROM:<ann@a.test> SIZE=1', 'ann@a.test'],
  ['FROM: ann@a.test BODY=8BITMIME', 'ann@a.test'],
  ['FROM:<"a>b c"@a.test>', 'a>b c@a.test'],
  ['FROM:<a\\>b@a.test>', 'a>b@a.test'],
  ['FROM:<open@a.test', 'open@a.test'],
  ['FROM:<>', ''],
  ['FROM', undefined],
];
for (const [argument, address] of ADDRESSES) {
  test(`the address in ${argument} is ${address}`, () =>
    assert.equal(addressIn(argument), address));
}

test('a command is a word and what follows it', () => {
  assert.deepEqual(nextWord(' \tMAIL  FROM:<x> y '), ['MAIL', 'FROM:<x> y ']);
  assert.deepEqual(nextWord(''), ['', '']);
});
