/** What is put through both cleanups: groups with one main.cf each. */
import type { CaseGroup } from './case-group.ts';
import { CHECK_CASES } from './check-cases.ts';
import { CONTENT_CASES } from './content-cases.ts';
import { ENVELOPE_CASES } from './envelope-cases.ts';
import { MAP_CASES } from './map-cases.ts';

export const CASES: readonly CaseGroup[] = [
  ...CONTENT_CASES,
  ...ENVELOPE_CASES,
  ...MAP_CASES,
  ...CHECK_CASES,
];
