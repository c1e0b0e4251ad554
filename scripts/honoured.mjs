/**
 * Which parameters this code knows what to do with: those that it mentions anywhere but in their
 * declarations. `postfix check` names every other one that is set, so nothing is ignored in silence.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['bin', 'lib', 'libexec', 'master', 'services'];
const DECLARATIONS = 'lib/config/parameters';

/** Names of the parameters that the sources below `root` use, sorted. */
export function honouredParameters(root) {
  const declared = new Set();
  const mentioned = new Set();
  for (const folder of SOURCES) {
    for (const path of typescriptIn(root, folder)) {
      const text = readFileSync(join(root, path), 'utf8');
      const into = path.startsWith(DECLARATIONS) ? declared : mentioned;
      for (const [word] of text.matchAll(/[0-9a-z][0-9a-z_]*_[0-9a-z_]+|\b[a-z]+\b/g))
        into.add(word);
    }
  }
  return [...mentioned].filter((name) => declared.has(name)).sort();
}

function typescriptIn(root, folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}
