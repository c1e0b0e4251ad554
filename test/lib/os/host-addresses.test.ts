import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupHost } from '../../../lib/os/host-addresses.ts';

for (const [name, expected] of [
  ['localhost', '127.0.0.1'],
  // Nobody lists these: libc knows them.
  ['127.1', '127.0.0.1'],
  ['0x7f000002', '127.0.0.2'],
  ['::1', '::1'],
] as const) {
  test(`${name} has the address ${expected}`, () => {
    assert.ok(lookupHost(name).includes(expected), lookupHost(name).join(' '));
  });
}

for (const name of ['', 'nosuch.invalid', 'a\0b', 'a..b']) {
  test(`${JSON.stringify(name)} has no address`, () => {
    assert.deepEqual(lookupHost(name), []);
  });
}
