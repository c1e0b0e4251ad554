/**
 * Which parameters this code knows what to do with: those that it mentions anywhere but in their
 * declarations, in comments and in sentences, and those that the defaults of such parameters refer to;
 * not those of a list `NOT_BUILT`, which are only asked for to say so. `postfix check` names every other
 * one that is set, so that nothing is ignored in silence.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['bin', 'lib', 'libexec', 'master', 'services'];
const DECLARATIONS = 'lib/config/parameters';
const NAME = /\b[0-9a-z][0-9A-Za-z_]*\b/g;
const NOT_BUILT = /\bNOT_BUILT = \[([^\]]*)\]/g;
/** Their defaults list tables that others look into, if anybody does. */
const MERE_LISTS = ['proxy_read_maps', 'proxy_write_maps'];
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;
/** A text with a blank in it is for people. */
const SENTENCE = /'(?:[^'\\\n]|\\.)* (?:[^'\\\n]|\\.)*'|(?<=`|\})[^`$\n]* [^`$\n]*(?=`|\$\{)/g;
const REFERENCE = /\$[{($]*([0-9A-Za-z_]+)/g;

/** Names of the parameters that the sources below `root` use, sorted. */
export function honouredParameters(root) {
  const references = new Map();
  const mentioned = new Set();
  const notBuilt = new Set();
  for (const path of SOURCES.flatMap((folder) => typescriptIn(root, folder))) {
    const text = readFileSync(join(root, path), 'utf8');
    for (const [, list] of text.matchAll(NOT_BUILT)) {
      for (const [word] of list.matchAll(NAME)) notBuilt.add(word);
    }
    if (path.startsWith(DECLARATIONS)) readDeclarations(text, references);
    else for (const [word] of codeOf(text).matchAll(NAME)) mentioned.add(word);
  }
  const honoured = new Set();
  const waiting = [...mentioned];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (honoured.has(name) || !references.has(name)) continue;
    honoured.add(name);
    waiting.push(...references.get(name));
    // Names of long ago live on in the defaults of those that took their place.
    for (const old of references.get(name)) if (!references.has(old)) honoured.add(old);
  }
  return [...honoured].filter((name) => !notBuilt.has(name)).sort();
}

function codeOf(text) {
  return text.replace(COMMENT, '').replace(SENTENCE, "''");
}

/** One declaration starts a line: `  smtp_helo_name: text('$myhostname'),`. */
function readDeclarations(text, references) {
  for (const declaration of text.split(/^ {2}(?=[0-9a-z'])/m).slice(1)) {
    const name = /^'?([0-9A-Za-z_]+)/.exec(declaration)?.[1];
    const named = [...declaration.matchAll(REFERENCE)].map(([, word]) => word);
    if (name !== undefined) references.set(name, MERE_LISTS.includes(name) ? [] : named);
  }
}

function typescriptIn(root, folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}
