/** The page about configuration names tests that exist. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('every place that docs/configuration.md says something is tested at is there', () => {
  const page = readFileSync('docs/configuration.md', 'utf8');
  const places = [...page.matchAll(/`((?:test|bench|scripts)\/[^`]+)`/g)].map(([, path]) => path);
  assert.ok(places.length > 40);
  assert.deepEqual(
    places.filter((path) => !existsSync(path ?? '')),
    [],
  );
});
