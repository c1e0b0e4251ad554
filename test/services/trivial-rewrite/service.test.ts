/** What the process does beside answering: leaving for a new table, refusing nonsense. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildTable } from '../../../lib/table/table-build.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { prepare, startRewriting } from './daemons.ts';

test('a new table is announced with the answer, and the process leaves', async (t) => {
  const directory = freshDirectory(t);
  const path = join(directory, 'transport');
  writeFileSync(path, 'remote.test old:\n');
  buildTable(`hash:${path}`, {});
  prepare(directory, { transport_maps: `hash:${path}` });
  const daemon = startRewriting(t, directory, 'ours');
  const request = ['resolve', '', 'joe@remote.test'] as const;
  assert.match((await daemon.ask(request)) ?? '', /^flags=<0> transport=<old>/);
  writeFileSync(path, 'remote.test new:\n');
  buildTable(`hash:${path}`, {});
  assert.match((await daemon.ask(request)) ?? '', /^flags=<1> transport=<old>/);
  assert.equal(await daemon.ended, 0);
  const log = () => readFileSync(join(directory, 'log'), 'utf8');
  await eventually('the reason in the log', () =>
    log().includes(`table hash:${path} has changed -- restarting`),
  );
});

for (const [what, request] of [
  ['an unknown request', ['nonsense', 'a', 'b']],
  ['an unknown rewriting rule', ['rewrite', 'nonsense', 'joe']],
] as const) {
  test(`${what} ends the connection, not the process`, async (t) => {
    const directory = freshDirectory(t);
    prepare(directory, {});
    const daemon = startRewriting(t, directory, 'ours');
    assert.equal(await daemon.ask(request), undefined);
    const answer = await daemon.ask(['rewrite', 'local', 'joe']);
    assert.equal(answer, 'flags=<0> address=<joe@mail.example.com>');
  });
}

test('a lone blank, which makes Postfix panic, is the null address', async (t) => {
  const directory = freshDirectory(t);
  prepare(directory, {});
  const daemon = startRewriting(t, directory, 'ours');
  assert.equal(await daemon.ask(['rewrite', 'local', ' ']), 'flags=<0> address=<"">');
});
