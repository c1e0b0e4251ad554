/** Where the running program is installed. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The tree that holds this program: `bin/` and `libexec/` are side by side. */
function findRoot(): string {
  const home = dirname(fileURLToPath(import.meta.url));
  for (let folder = dirname(home); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'libexec'))) return folder;
  }
  return dirname(home);
}

const root = findRoot();

export const INSTALLATION = {
  commands: join(root, 'bin'),
  daemons: join(root, 'libexec'),
} as const;
