/** Every program has a manual page, and the page names every option that the code reads. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const FOLDER = 'docs/man';
const pages = readdirSync(FOLDER);
const programsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace(/\.ts$/, ''));
const COMMANDS = [...programsIn('bin'), 'mailq', 'newaliases'];
const DAEMONS = programsIn('libexec');
/** Programs under other names: scripts/build.mjs makes the links. */
const ALIASES = [
  ...readFileSync('scripts/build.mjs', 'utf8').matchAll(/'libexec\/(\w+)': '(\w+)'/g),
];

/** Where the options of a command are declared, when that is not its own file. */
const DECLARED_IN: Readonly<Record<string, string>> = {
  postconf: 'bin/postconf/request.ts',
  postfix: 'bin/postfix/command.ts',
  sendmail: 'bin/sendmail/request.ts',
};

const read = (page: string) => readFileSync(join(FOLDER, page), 'utf8');

/** Letters that head an entry, or part of one: `.It Fl f Ar sender , Fl r Ar sender`. */
function flagsIn(text: string): Set<string> {
  const entries = text.split('\n').filter((line) => line.startsWith('.It '));
  return new Set(
    entries.flatMap((line) => [...line.matchAll(/\bFl (\S)/g)].map(([, flag = '']) => flag)),
  );
}

test('every program has a page, and every page a program', () => {
  const expected = [...COMMANDS.map((name) => `${name}.1`), ...DAEMONS.map((name) => `${name}.8`)];
  assert.deepEqual([...pages].sort(), expected.sort());
});

for (const [, alias = '', target = ''] of ALIASES) {
  test(`${alias} is named on the page of ${target}`, () => {
    assert.match(read(`${target}.8`), new RegExp(`^\\.Nm ${alias}( ,)?$`, 'm'));
  });
}

for (const command of programsIn('bin')) {
  test(`the page of ${command} has its options, and no others`, () => {
    const source = readFileSync(DECLARED_IN[command] ?? `bin/${command}.ts`, 'utf8');
    const flags = /flags: '([^']+)'/.exec(source)?.[1];
    assert.ok(flags !== undefined, `no flags in the source of ${command}`);
    assert.deepEqual(
      [...flagsIn(read(`${command}.1`))].sort(),
      [...flags.replaceAll(':', '')].sort(),
    );
  });
}

test("the page of master has its own options and those of the daemons'", () => {
  const own = /'(\w+)'\.includes\(option\)/.exec(readFileSync('master/options.ts', 'utf8'))?.[1];
  const source = readFileSync('lib/server/options.ts', 'utf8');
  const daemons = [...source.matchAll(/^const WITH\w+ = '(\w+)';$/gm)].map(([, flags]) => flags);
  assert.equal(daemons.length, 2);
  const [, ofDaemons = '', ofMaster = ''] =
    /Options of daemons([\s\S]*)The options are:([\s\S]*)/.exec(read('master.8')) ?? [];
  assert.deepEqual([...flagsIn(ofMaster)].sort(), [...`${own}ce`].sort());
  assert.deepEqual([...flagsIn(ofDaemons)].sort(), [...daemons.join('')].sort());
  for (const name of DAEMONS) assert.match(read(`${name}.8`), /master/);
});

const SECTIONS = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'FILES', 'EXIT STATUS', 'SEE ALSO'];
const groff = spawnSync('groff', ['--version']).status === 0;
const mandoc = existsSync('/usr/bin/mandoc');

for (const page of pages) {
  test(`${page} has its sections, in order`, () => {
    const found = [...read(page).matchAll(/^\.Sh (.*)$/gm)].map(([, name]) => name);
    assert.deepEqual(
      found.filter((name) => name !== 'ENVIRONMENT'),
      SECTIONS,
    );
  });

  test(`${page} renders without a warning`, { skip: !groff && !mandoc && 'no groff' }, () => {
    const [program, ...args] = mandoc
      ? ['mandoc', '-Tlint', '-Wwarning']
      : ['groff', '-mandoc', '-ww', '-Tutf8', '-z'];
    const { status, stdout, stderr } = spawnSync(program as string, [...args, join(FOLDER, page)], {
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout + stderr], [0, '']);
  });

  test(`what ${page} refers to is there`, () => {
    for (const [, name = '', section = ''] of read(page).matchAll(/^\.Xr (\S+) (\d)/gm)) {
      if (name === 'comsat') continue;
      assert.ok(pages.includes(`${name}.${section}`), `${name}(${section})`);
    }
  });
}
