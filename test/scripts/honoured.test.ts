/** Which parameters count as honoured: what the code does with them, not what it says of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PARAMETERS } from '../../lib/config/parameters.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { writeSettled } from '../support/settled-file.ts';

const SOURCE = `
/** commented_on: and more */
// also_commented_on
const a = get('read_as_text') ?? get('read_as_CAfile'); // trailing_comment
const b = parameters.read_as_property + read_alone;
throw new Error('set spoken_of in main.cf', \`and \${read_in_template} or spoken_of_too here\`);
const NOT_BUILT = ['asked_for'];
const c = 'http://x'; const d = read_after_slashes;
`;
const DECLARATIONS = `
  read_as_text: text('\${referred_to?{x}:$referred_to_also}$referred_to_CApath'),
  proxy_read_maps: list('$merely_listed'),
`;
const HONOURED = [
  ...['proxy_read_maps', 'read_after_slashes', 'read_alone', 'read_as_CAfile', 'read_as_property'],
  ...['read_as_text', 'read_in_template', 'referred_to', 'referred_to_CApath', 'referred_to_also'],
];
const NOT_HONOURED = [
  ...['also_commented_on', 'asked_for', 'commented_on', 'merely_listed', 'spoken_of'],
  ...['spoken_of_too', 'trailing_comment'],
];

test('a parameter is honoured where code uses it, not where a comment or message names it', (t) => {
  const root = freshDirectory(t);
  const names = [...HONOURED, ...NOT_HONOURED].filter(
    (name) => !DECLARATIONS.includes(`  ${name}:`),
  );
  const declared = names.map((name) => `  ${name}: bool('no'),\n`).join('');
  for (const folder of ['bin', 'lib/config/parameters', 'libexec', 'master', 'services']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'lib/config/parameters/all.ts'), `{\n${declared}${DECLARATIONS}}\n`);
  writeFileSync(join(root, 'bin/one.ts'), `${SOURCE} get('proxy_read_maps');\n`);
  const script = `import { honouredParameters } from ${JSON.stringify(join(BUILD, '../scripts/honoured.mjs'))};
    console.log(JSON.stringify(honouredParameters(${JSON.stringify(root)})));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.deepEqual(JSON.parse(stdout), HONOURED);
});

test('postfix check names every parameter that is set in vain, and no other', (t) => {
  const base = freshDirectory(t);
  const [config, queue, data] = ['c', 'q', 'd'].map((name) => join(base, name));
  for (const directory of [config, queue, data] as string[]) mkdirSync(directory);
  if (process.getuid?.() === 0) {
    const owner = spawnSync('id', ['-u', 'postfix'], { encoding: 'utf8' }).stdout;
    chownSync(data as string, Number(owner), 0);
  }
  const needed: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: queue as string,
    data_directory: data as string,
    daemon_directory: join(BUILD, 'libexec'),
    command_directory: join(BUILD, 'bin'),
    maillog_file: `${base}/log`,
    maillog_file_prefixes: base,
    mail_owner: process.getuid?.() === 0 ? 'postfix' : String(process.env.USER),
    myhostname: 'mx.lab.test',
  };
  const computed = ['config_directory', 'process_id', 'process_name', 'service_name'];
  const names = Object.keys(PARAMETERS).filter((name) => !computed.includes(name));
  // Each as its default has it: but it is set.
  const lines = names.map((name) => {
    const { fallback } = PARAMETERS[name as keyof typeof PARAMETERS];
    return `${name} = ${needed[name] ?? fallback}\n`;
  });
  writeSettled(join(config as string, 'main.cf'), lines.join(''));
  writeSettled(join(config as string, 'master.cf'), 'postlog unix-dgram n - n - 1 postlogd\n');
  const { stderr } = spawnSync(join(BUILD, 'bin/postfix'), ['-c', config as string, 'check'], {
    encoding: 'utf8',
  });
  const named = [...stderr.matchAll(/parameter "(\w+)" is set, but/g)].map(([, name]) => name);
  const honoured: string[] = JSON.parse(readFileSync(join(BUILD, 'honoured.json'), 'utf8'));
  const inVain = names.filter((name) => !honoured.includes(name) && !isOfTransport(name));
  assert.deepEqual(named, inVain);
  assert.ok(names.length > 800, String(names.length));
  assert.notEqual(inVain.length, 0);
});

/** `local_destination_recipient_limit` has its meaning from what follows the transport's name. */
function isOfTransport(name: string): boolean {
  return /^(?:local|lmtp|relay|smtp|virtual)_(?:destination|recipient)_\w*(?:limit|delay)$/.test(
    name,
  );
}
