import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from './cleanup.ts';

/** A fresh directory that goes away with the test. Everybody may search it: daemons drop root. */
export function freshDirectory(t: TestContext, name = 'posthaste'): string {
  const path = mkdtempSync(join(tmpdir(), `${name}-`));
  chmodSync(path, 0o755);
  atEnd(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 20 }));
  return path;
}
