/**
 * Bundles every program into one CommonJS file under build/, laid out as the installed system:
 * build/bin (what people type), build/libexec (what master starts), build/test (tests).
 *
 *   node scripts/build.mjs           the programs
 *   node scripts/build.mjs --tests   the programs and the tests
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { honouredParameters } from './honoured.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'build');

/** Programs that are one program under several names. */
const ALIASES = {
  'bin/mailq': 'sendmail',
  'bin/newaliases': 'sendmail',
  'libexec/lmtp': 'smtp',
  'libexec/relay': 'smtp',
  'libexec/retry': 'error',
  'libexec/defer': 'bounce',
  'libexec/trace': 'bounce',
};

/** yargs is an ES module that looks at its own address; a CommonJS bundle has to be told it. */
const MODULE_ADDRESS = "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;";

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
  external: ['koffi', 'better-sqlite3', 'esbuild', 'fast-check'],
  alias: { 'string-width': 'fast-string-width' },
  define: { 'import.meta.url': 'importMetaUrl' },
};

const sourcesIn = (folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true })
        .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
        .map((name) => join(folder, name))
    : [];

/** Programs lie at the top of their folder; what they are made of, in folders below it. */
const programsIn = (folder) => sourcesIn(folder).filter((path) => path.split('/').length === 2);

/** What few runs of a program need: a bundle of its own, or all runs would have to read it. */
const PARTS = { 'bin/postfix/explain': 'bin/parts/postfix-explain' };

/** The program asks for its part when it needs it. */
const parts = {
  name: 'parts',
  setup(plugins) {
    plugins.onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      const source = relative(root, join(resolveDir, path)).replace(/\.ts$/, '');
      const part = PARTS[source];
      return part && { path: `./${part.replace('bin/', '')}.cjs`, external: true };
    });
  },
};

async function buildParts() {
  await bundle({
    minifySyntax: true,
    entryPoints: Object.entries(PARTS).map(([source, out]) => ({ in: `${source}.ts`, out })),
    outdir: output,
    outExtension: { '.js': '.cjs' },
    banner: { js: MODULE_ADDRESS },
  });
}

/** A program has no extension and starts itself; daemons have no PATH, so node is named in full. */
async function buildPrograms() {
  const entries = [...programsIn('bin'), ...programsIn('libexec')];
  await bundle({
    minifySyntax: true,
    plugins: [parts],
    entryPoints: entries.map((path) => ({ in: path, out: path.replace(/\.ts$/, '') })),
    outdir: output,
    outExtension: { '.js': '.cjs' },
    banner: { js: `#!${process.execPath}\n${MODULE_ADDRESS}` },
  });
  for (const entry of entries) {
    const program = join(output, entry.replace(/\.ts$/, '.cjs'));
    if (!existsSync(program)) continue;
    chmodSync(program, 0o755);
    link(basename(program), program.replace(/\.cjs$/, ''));
  }
  for (const [alias, target] of Object.entries(ALIASES)) {
    if (existsSync(join(output, dirname(alias), `${target}.cjs`))) {
      link(`${target}.cjs`, join(output, alias));
    }
  }
}

/** Worker threads load a file of their own: `*.worker.ts` anywhere in lib/ and services/. */
async function buildWorkers() {
  const workers = [...sourcesIn('lib'), ...sourcesIn('services')].filter((path) =>
    path.endsWith('.worker.ts'),
  );
  if (workers.length === 0) return;
  await bundle({
    entryPoints: workers.map((path) => ({ in: path, out: basename(path, '.ts') })),
    outdir: join(output, 'workers'),
    outExtension: { '.js': '.cjs' },
    banner: { js: MODULE_ADDRESS },
  });
}

async function buildFolder(folder) {
  const entries = sourcesIn(folder);
  if (entries.length === 0) return;
  await bundle({
    entryPoints: entries.map((path) => ({ in: path, out: path.replace(/\.ts$/, '') })),
    outdir: output,
    outExtension: { '.js': '.cjs' },
    banner: { js: MODULE_ADDRESS },
  });
}

/** Bundles all entries at once; when one can't be, at least the others. */
async function bundle(options) {
  try {
    await build({ ...common, ...options, logLevel: 'silent' });
  } catch {
    for (const entryPoint of options.entryPoints) {
      await build({ ...common, ...options, entryPoints: [entryPoint] }).catch(() => {
        process.exitCode = 1;
      });
    }
  }
}

function link(target, path) {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

mkdirSync(output, { recursive: true });
writeFileSync(join(output, 'package.json'), '{ "type": "commonjs" }\n');
await buildPrograms();
await buildParts();
await buildWorkers();
await buildFolder('bench');
// Written last: its time says when everything was built.
if (!process.exitCode)
  writeFileSync(join(output, 'honoured.json'), `${JSON.stringify(honouredParameters(root))}\n`);
if (process.argv.includes('--tests')) {
  rmSync(join(output, 'test'), { recursive: true, force: true });
  await buildFolder('test');
}
