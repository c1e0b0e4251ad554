/** The page about limits names tests that exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('every place that docs/limits.md says something is tested at is there', () => {
  const page = readFileSync('docs/limits.md', 'utf8');
  const places = [...page.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path ?? '');
  assert.ok(places.length > 40);
  assert.deepEqual(
    places.filter((path) => !existsSync(path)),
    [],
  );
});
