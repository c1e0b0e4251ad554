/** What the pages for readers name is there: files, folders, commands, daemons. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';

const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/configuration.md',
  'spool/README.md',
];
const FOLDERS = [
  ...['.ci', 'bench', 'bin', 'docs', 'etc', 'lib', 'libexec', 'master', 'scripts', 'services'],
  ...['spool', 'test'],
];

const read = (page: string) => readFileSync(page, 'utf8');
/** What stands between backquotes, or in a line that is a command. */
const wordsOf = (text: string) =>
  [...text.matchAll(/`([^`\n]+)`|^ {4}(\S.*)$/gm)].flatMap(([, code, line]) =>
    (code ?? line ?? '').split(/\s+/),
  );
const programsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace(/\.ts$/, ''));
/** Names that a rule is about. */
const EXAMPLES = ['kebab-case.ts', 'utils.ts'];

/** Programs under other names, by their folder. */
const aliasesIn = (folder: string) =>
  [...read('scripts/build.mjs').matchAll(/'(\w+)\/(\w+)': '\w+',/g)]
    .filter(([, where]) => where === folder)
    .map(([, , name = '']) => name);
const COMMANDS = [...programsIn('bin'), ...aliasesIn('bin')];
const DAEMONS = [...programsIn('libexec'), ...aliasesIn('libexec')];

const SOURCES = new Set(
  FOLDERS.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' })).map(
    (path) => basename(path),
  ),
);

for (const page of PAGES) {
  test(`the files that ${page} names are there`, () => {
    const places = wordsOf(read(page)).filter((word) => FOLDERS.includes(word.split('/')[0] ?? ''));
    const paths = places.filter((word) => /^[\w./-]+$/.test(word) && word.includes('/'));
    assert.deepEqual(
      paths.filter((path) => !existsSync(path)),
      [],
    );
    const files = wordsOf(read(page)).filter((word) => /^[a-z-]+\.(?:ts|mjs)$/.test(word));
    assert.deepEqual(
      files.filter((name) => !SOURCES.has(name) && !EXAMPLES.includes(name)),
      [],
    );
  });

  test(`the commands that ${page} names are there`, () => {
    const text = read(page);
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
    for (const [, script = ''] of text.matchAll(/\bnpm run (\w+)/g)) {
      assert.ok(scripts.includes(script), `npm run ${script}`);
    }
    for (const [, program = ''] of text.matchAll(/\bbuild\/bin\/([\w-]+)/g)) {
      assert.ok(COMMANDS.includes(program), program);
    }
  });
}

test('README names every command and every daemon, and none that is not yet there', () => {
  const [, works = '', notYet = ''] =
    /\n## What works\n(.*)\n\| not yet \|(.*?)\n/s.exec(read('README.md')) ?? [];
  const named = new Set(wordsOf(works));
  assert.deepEqual(
    // relay is smtp under the name of a service.
    [...COMMANDS, ...DAEMONS].filter((name) => !named.has(name) && name !== 'relay'),
    [],
  );
  assert.deepEqual(
    wordsOf(notYet).filter((name) => DAEMONS.includes(name)),
    [],
  );
});

test('ARCHITECTURE has every folder of the tree, and every library', () => {
  const text = read('ARCHITECTURE.md');
  const rows = [...text.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => wordsOf(cell));
  const libraries = rows.filter((word) => !word.endsWith('/'));
  assert.deepEqual(libraries.sort(), readdirSync('lib').sort());
  const folders = rows.filter((word) => word.endsWith('/')).map((word) => word.slice(0, -1));
  const expected = FOLDERS.filter((name) => !name.startsWith('.'));
  assert.deepEqual(folders.sort(), [...expected, 'build'].sort());
});

test('spool/README.md has every directory of the queue as shipped', () => {
  const rows = [...read('spool/README.md').matchAll(/^\| (`.*?) \|/gm)];
  const shipped = readdirSync('spool').filter((name) => name !== 'README.md');
  assert.deepEqual(rows.flatMap(([, cell = '']) => wordsOf(cell)).sort(), shipped.sort());
});
