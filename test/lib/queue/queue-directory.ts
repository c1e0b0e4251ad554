import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';

/** An empty queue to work in, until the test ends: as daemons do, it stands in the queue directory. */
export function standInQueue(t: TestContext): void {
  const before = process.cwd();
  const directory = freshDirectory(t);
  process.chdir(directory);
  atEnd(t, () => process.chdir(before));
  for (const name of ['incoming', 'active', 'deferred', 'hold', 'corrupt', 'journal']) {
    mkdirSync(join(directory, name));
  }
}
