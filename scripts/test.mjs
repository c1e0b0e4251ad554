/**
 * Builds and runs the tests: `node scripts/test.mjs [prefix ...]` runs those whose path starts
 * with a prefix (`test/lib/ipc`). Ends with one line, `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
// It slows every start of Node 20 down by the size of the file it names.
delete process.env.NODE_EXTRA_CA_CERTS;

const prefixes = process.argv.slice(2);
if (!existsSync('node_modules/esbuild')) step('npm', ['ci']);
step(process.execPath, ['scripts/build.mjs', '--tests']);

const files = readdirSync('build/test', { recursive: true })
  .filter((name) => name.endsWith('.test.cjs'))
  .map((name) => join('build/test', name))
  .filter(
    (path) => prefixes.length === 0 || prefixes.some((p) => path.startsWith(join('build', p))),
  )
  .sort();

let passed = 0;
let failed = 0;
let skipped = 0;
const stream = run({
  files: files.map((file) => join(root, file)),
  concurrency: 2,
  timeout: 600_000,
});
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite' || isFile(event)) return;
  if (event.skip !== undefined) skipped += 1;
  else passed += 1;
});
stream.on('test:fail', (event) => {
  if (event.details.type !== 'suite') failed += 1;
});
stream.compose(spec).pipe(process.stdout);
stream.on('end', () => {
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
  setImmediate(() => process.stdout.write(summary()));
});

/** The runner also reports each file as a test of its own; only a failing one is news. */
function isFile(event) {
  return event.nesting === 0 && event.name.endsWith('.test.cjs');
}

function summary() {
  const tail = skipped === 0 ? '' : `, ${skipped} skipped`;
  return `\n${passed} passed, ${failed} failed${tail}\n`;
}

function step(command, args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
