/** Queue files that real Postfix wrote; test/data/queue/README.md says how. */
import { resolve } from 'node:path';

/** Tests run from the project's root. */
export const GOLDEN = resolve('test/data/queue');

export const GOLDEN_FILES = [
  'deferred',
  'dsn',
  'filter-redirect',
  'long-lines',
  'maildrop',
  'milter',
  'milter-third-recipient',
  'sendmail',
  'verp',
] as const;
