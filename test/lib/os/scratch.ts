import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';

/** A fresh directory that everybody may enter, gone after the test. */
export function scratchDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-test-'));
  atEnd(t, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Why a test that needs root is skipped; false as root. */
export const needsRoot = process.getuid?.() === 0 ? false : 'needs root';
