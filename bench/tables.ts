/**
 * Tables beside Postfix's, in the same run: a table of a million lines is made, and asked a hundred
 * thousand keys through `postmap -q -`.
 *
 *   node build/bench/tables.cjs [lines] [keys]
 *
 * The rounds alternate, so that a busy machine slows both; the best round of each counts. Fails when
 * ours takes more than 1.5 times as long as Postfix's `hash:`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const REAL = '/usr/sbin/postmap';
const OURS = resolve('build/bin/postmap');
const ROUNDS = 3;
const RATIO_MAX = 1.5;

type Contender = readonly [name: string, program: string, type: string];

const CONTENDERS: readonly Contender[] = [
  ['postfix hash', REAL, 'hash'],
  ['postfix btree', REAL, 'btree'],
  ['posthaste hash', OURS, 'hash'],
];

const [lines = 1_000_000, keys = 100_000] = process.argv.slice(2).map(Number);
const directory = mkdtempSync(join(tmpdir(), 'posthaste-tables-'));
const env = { PATH: '/usr/bin:/bin', MAIL_CONFIG: directory, LANG: 'C' };
let failed = false;
try {
  prepare();
  report(`make a table of ${lines} lines`, (contender) => run(contender, [mapOf(contender)]));
  report(`ask ${keys} keys`, (contender) => run(contender, ['-q', '-', mapOf(contender)], 'keys'));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

/** Sources in no order, half of the keys unknown; the same numbers each time. */
function prepare(): void {
  const main = join(directory, 'main.cf');
  writeFileSync(main, 'compatibility_level = 3.6\nmaillog_file =\n');
  utimesSync(main, 0, 0);
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return seed % below;
  };
  const names = Array.from(
    { length: lines },
    (_, index) => `user${random(2 ** 30)}.${index}@example${index % 1000}.com`,
  );
  const source = names.map((name, index) => `${name}\tmailbox${index}/\n`).join('');
  for (const [, program, type] of CONTENDERS) writeFileSync(pathOf(program, type), source);
  const asked = Array.from({ length: keys }, (_, index) =>
    index % 2 === 0 ? names[random(lines)] : `nobody${index}@example.org`,
  );
  writeFileSync(join(directory, 'keys'), `${asked.join('\n')}\n`);
}

function pathOf(program: string, type: string): string {
  return join(directory, `${program === OURS ? 'ours' : 'real'}-${type}`);
}

function mapOf([, program, type]: Contender): string {
  return `${type}:${pathOf(program, type)}`;
}

/** @returns seconds */
function run([name, program]: Contender, args: readonly string[], input?: string): number {
  const start = performance.now();
  const ran = spawnSync(program, args, {
    env,
    input: input === undefined ? '' : readFileSync(join(directory, input)),
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  if (ran.status !== 0) throw new Error(`${name}: postmap ended with ${ran.status}`);
  return (performance.now() - start) / 1000;
}

function report(what: string, measure: (contender: Contender) => number): void {
  const contenders = CONTENDERS.filter(([, program]) => existsSync(program));
  const best = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const contender of contenders) {
      const seconds = measure(contender);
      best.set(contender[0], Math.min(seconds, best.get(contender[0]) ?? seconds));
    }
  }
  process.stdout.write(`${what}\n`);
  const ours = best.get('posthaste hash') ?? 0;
  for (const [name, seconds] of best) {
    const ratio =
      name === 'posthaste hash' ? '' : `  ours takes ${(ours / seconds).toFixed(2)} of it`;
    process.stdout.write(`  ${name.padEnd(16)} ${seconds.toFixed(2)} s${ratio}\n`);
  }
  const hash = best.get('postfix hash');
  if (hash !== undefined && ours > RATIO_MAX * hash) failed = true;
}
