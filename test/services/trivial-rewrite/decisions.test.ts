/** Rewriting and resolving as functions: the verdict, and how it was come to. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { RESOLVE } from '../../../lib/clients/rewrite.ts';
import { loadConfiguration } from '../../../lib/config/configuration.ts';
import type { Log } from '../../../lib/log/log.ts';
import { TableWatch } from '../../../lib/server/table-watch.ts';
import { resolveAddress } from '../../../services/trivial-rewrite/resolve.ts';
import { type RewriteRules, rewriteAddress } from '../../../services/trivial-rewrite/rewrite.ts';
import { openSettings } from '../../../services/trivial-rewrite/settings.ts';
import { applyEntry } from '../../../services/trivial-rewrite/transport-map.ts';
import { freshDirectory } from '../../support/directories.ts';
import { writeSettled } from '../../support/settled-file.ts';

const RULES: RewriteRules = {
  origin: 'origin.test',
  domain: 'domain.test',
  swapBangpath: true,
  percentHack: true,
  appendAtOrigin: true,
  appendDotDomain: true,
};

const REWRITTEN: readonly [address: string, result: string, trail: string][] = [
  ['', '', ''],
  ['joe@example.com', 'joe@example.com', ''],
  ['joe', 'joe@origin.test', 'append_at_myorigin'],
  ['joe@host', 'joe@host.domain.test', 'append_dot_mydomain'],
  ['host!joe', 'joe@host.domain.test', 'swap_bangpath append_dot_mydomain'],
  ['joe%a.b', 'joe@a.b', 'allow_percent_hack'],
  ['@a,@b:joe@c.d', 'joe@c.d', 'source route'],
  ['joe@a.b.', 'joe@a.b', 'final dot'],
  ['"a b"@c.d', '"a b"@c.d', ''],
];

for (const [address, result, trail] of REWRITTEN) {
  test(`${JSON.stringify(address)} is rewritten to ${JSON.stringify(result)}`, () => {
    const rewritten = rewriteAddress(address, RULES);
    assert.equal(rewritten.address, result);
    assert.equal(rewritten.trail.join(' '), trail);
  });
}

const BEFORE = { transport: 'smtp', nexthop: 'before' };
const ENTRIES: readonly [entry: string, transport: string, nexthop: string][] = [
  [':', 'smtp', 'before'],
  [':there', 'smtp', 'there'],
  ['slow:', 'slow', 'domain'],
  ['slow', 'slow', 'domain'],
  ['slow:there', 'slow', 'there'],
  ['smtp:[host]:25', 'smtp', '[host]:25'],
  ['error:5.1.1 no', 'error', '5.1.1 no'],
  ['error:', 'error', 'Address is undeliverable'],
  ['retry:', 'retry', 'Address is undeliverable'],
];

for (const [entry, transport, nexthop] of ENTRIES) {
  test(`transport(5) entry ${entry}`, () => {
    assert.deepEqual(applyEntry(entry, BEFORE, 'domain'), { transport, nexthop });
  });
}

function open(t: TestContext, main: Readonly<Record<string, string>>) {
  const directory = freshDirectory(t);
  const settings = { myhostname: 'mail.example.com', inet_interfaces: '127.0.0.1', ...main };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(directory, 'main.cf'), lines.join(''));
  const warnings: string[] = [];
  const log = {
    warn: (text: string) => warnings.push(text),
    error: (text: string) => warnings.push(text),
  } as unknown as Log;
  return {
    ...openSettings(new TableWatch(loadConfiguration({ directory }), log, () => {})),
    warnings,
  };
}

test('the trail names parameter, table, key and answer', async (t) => {
  const { resolve, mail } = open(t, {
    relayhost: 'gateway.test',
    transport_maps: 'inline:{ .remote.test=slow: }',
  });
  const found = await resolveAddress('', 'joe@a.remote.test', resolve, mail);
  assert.equal(found.transport, 'slow');
  assert.equal(found.nexthop, 'a.remote.test');
  assert.equal(found.flags, RESOLVE.DEFAULT);
  assert.deepEqual(found.trail, [
    { parameter: 'default_transport', by: '', result: 'smtp' },
    { parameter: 'relayhost', by: '', result: 'gateway.test' },
    {
      parameter: 'transport_maps',
      by: 'inline:{ .remote.test=slow: } key .remote.test',
      result: 'slow:',
    },
  ]);
});

test('a domain in two classes is delivered in the first, with a warning', async (t) => {
  const { resolve, mail, warnings } = open(t, {
    mydestination: 'both.test',
    virtual_alias_domains: 'both.test',
  });
  const found = await resolveAddress('', 'joe@both.test', resolve, mail);
  assert.equal(found.flags, RESOLVE.LOCAL);
  assert.deepEqual(warnings, [
    'do not list domain both.test in BOTH mydestination and virtual_alias_domains',
  ]);
});

test('a table in trouble is never "not found"', async (t) => {
  const { resolve, mail, warnings } = open(t, { transport_maps: 'fail:x' });
  const found = await resolveAddress('', 'joe@remote.test', resolve, mail);
  assert.equal(found.flags & RESOLVE.FAIL, RESOLVE.FAIL);
  assert.deepEqual(warnings, [
    'fail:x lookup error for "joe@remote.test"',
    'transport_maps lookup failure',
  ]);
});

test('strangers find no way through: every route that is not ours is marked', async (t) => {
  const { resolve, mail } = open(t, { mydestination: 'example.com' });
  for (const address of ['a%b@remote.test', 'a!b@remote.test', 'a@b@remote.test']) {
    const { flags } = await resolveAddress('', address, resolve, mail);
    assert.equal(flags & RESOLVE.ROUTED, RESOLVE.ROUTED, address);
  }
});
