/**
 * What never happens can't be read in code: this test reads the import lines and the call sites,
 * and fails on an arrow that points the wrong way or a door that was passed by.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';

interface Source {
  readonly path: string;
  /** Without comments, so that prose about a rule does not break it. */
  readonly code: string;
  /** Files of ours, as paths from the root; packages, as they are named. */
  readonly imports: readonly string[];
}

const FOLDERS = ['bin', 'libexec', 'master', 'services', 'lib'];
const MAIL = [
  'address',
  'clients',
  'delivery',
  'dsn',
  'message',
  'milter',
  'queue',
  'sasl',
  'smtp',
];
const sources = FOLDERS.flatMap(readFolder);

function readFolder(folder: string): Source[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readSource(join(folder, name)));
}

function readSource(path: string): Source {
  const code = withoutComments(readFileSync(path, 'utf8'));
  const found = [...code.matchAll(/(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*'([^']+)'/g)];
  const imports = found
    .map(([, name = '']) => name)
    .map((name) => (name.startsWith('.') ? normalize(join(path, '..', name)) : name));
  return { path, code, imports };
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

/** Where a file stands: `lib/queue`, `services/smtpd`, `master`. */
function unitOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'lib' || top === 'services' ? `${top}/${second}` : top;
}

const isMailLibrary = (unit: string) => MAIL.some((name) => unit === `lib/${name}`);

/** Why a file may not import another; `undefined` when it may. */
function wrongArrow(from: string, to: string): string | undefined {
  const [source, target] = [unitOf(from), unitOf(to)];
  if (source === target) return undefined;
  if (target.startsWith('services/') && source.startsWith('services/')) {
    return 'no service imports another: they meet on a socket, or in the queue';
  }
  const ranks: Readonly<Record<string, number>> = { bin: 3, libexec: 3, services: 2, lib: 1 };
  const rank = (unit: string) => ranks[unit.split('/')[0] ?? ''] ?? 0;
  if (source === 'master') {
    const fine = target.startsWith('lib/') && !isMailLibrary(target);
    return fine ? undefined : 'master knows no mail';
  }
  if (target === 'master') return source === 'libexec' ? undefined : 'only libexec starts master';
  if (rank(target) > rank(source)) return 'arrows go bin, libexec -> services -> lib';
  if (rank(target) === 3) return 'programs do not import each other';
  if (source.startsWith('lib/') && !isMailLibrary(source) && isMailLibrary(target)) {
    return 'this library knows no mail';
  }
  return undefined;
}

test('imports point in one direction', () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter((name) => FOLDERS.some((folder) => name.startsWith(`${folder}/`)))
      .flatMap((name) => {
        const why = wrongArrow(path, name);
        return why === undefined ? [] : [`${path} imports ${name}: ${why}`];
      }),
  );
  assert.deepEqual(wrong, []);
});

test('imports name the file that exists', () => {
  const known = new Set(sources.map(({ path }) => path));
  const missing = sources.flatMap(({ path, imports }) =>
    imports
      .filter((name) => FOLDERS.some((folder) => name.startsWith(`${folder}/`)))
      .filter((name) => !known.has(name))
      .map((name) => `${path} imports ${name}`),
  );
  assert.deepEqual(missing, []);
});

/** Each package has one door. */
const DOORS: Readonly<Record<string, string>> = {
  'better-sqlite3': 'lib/table/',
  'dns-packet': 'lib/dns/',
  koffi: 'lib/os/',
  libqp: 'lib/message/',
  'node:tls': 'lib/tls/',
  pino: 'lib/log/',
  piscina: 'lib/async/',
  'smtp-server': 'services/smtpd/connection.ts',
  yargs: 'bin/options/',
};

for (const [name, door] of Object.entries(DOORS)) {
  test(`only ${door} imports ${name}`, () => {
    const importers = sources
      .filter(({ imports }) => imports.some((each) => each === name || each.startsWith(`${name}/`)))
      .map(({ path }) => path);
    assert.ok(importers.length > 0, `${name} is not used at all`);
    assert.deepEqual(
      importers.filter((path) => !path.startsWith(door)),
      [],
    );
  });
}

/** What may only be called in one place. DESIGN.md 5a: time, the outside, durability, events. */
const CALLS: readonly (readonly [what: string, pattern: RegExp, allowed: readonly string[]])[] = [
  ['time is read', /\bDate\.now\(|\bnew Date\(/, ['lib/clock/']],
  ['timers are set', /\bset(?:Timeout|Interval)\(/, ['lib/clock/']],
  ['durations are measured', /\bperformance\.now\(|\bprocess\.hrtime/, ['lib/clock/']],
  [
    'connections to the network are opened',
    /\b(?:net\.)?(?:createConnection|tls\.connect)\(/,
    ['lib/net/', 'lib/ipc/'],
  ],
  ['the DNS is asked', /'node:dns|\bdns\.(?:lookup|resolve)/, ['lib/dns/']],
  [
    'files are made durable',
    /\bf(?:data)?sync(?:Sync)?\(/,
    ['lib/queue/commit.ts', 'lib/delivery/', 'lib/table/', 'lib/config/', 'bin/'],
  ],
  ['the console is written', /\bconsole\./, []],
];

for (const [what, pattern, allowed] of CALLS) {
  test(`${what} only in ${allowed.join(', ') || 'no file'}`, () => {
    const wrong = sources
      .filter(({ code }) => pattern.test(code))
      .map(({ path }) => path)
      .filter((path) => !allowed.some((place) => path.startsWith(place)));
    assert.deepEqual(wrong, []);
  });
}

test('no code is left for later', () => {
  const left = sources
    .filter(({ path }) => /\b(?:TODO|FIXME|XXX)\b/.test(readFileSync(path, 'utf8')))
    .map(({ path }) => path);
  assert.deepEqual(left, []);
});
