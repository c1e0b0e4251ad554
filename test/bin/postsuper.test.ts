import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { writeSettled } from '../support/settled-file.ts';

const POSTSUPER = resolve('build/bin/postsuper');
const DATA = resolve('test/data/queue');
const REAL = '/usr/sbin/postsuper';
const isRoot = process.getuid?.() === 0;

const FILES: [string, string, number][] = [
  ['incoming/AAAAA1', 'dsn', 0o700],
  ['active/AAAAA2', 'dsn', 0o700],
  ['deferred/A/AAAAA3', 'deferred', 0o700],
  ['hold/AAAAA4', 'dsn', 0o700],
  ['maildrop/AAAAA5', 'maildrop', 0o744],
  ['deferred/B/BBBBB6', 'dsn', 0o700],
  ['hold/AAAAA8', 'dsn', 0o700],
  ['defer/A/AAAAA3', 'defer-log', 0o600],
  ['bounce/AAAAA3', 'defer-log', 0o600],
  ['trace/AAAAA3', 'defer-log', 0o600],
  ['flush/ok_test', 'defer-log', 0o600],
];

interface Spool {
  readonly directory: string;
  readonly queue: string;
}

/** A queue with something in every part of it, not one id matching its inode. */
function spool(t: TestContext, settings = '', owner = ownerName()): Spool {
  const directory = freshDirectory(t, 'postsuper');
  const queue = join(directory, 'spool');
  const uid = (owner === 'postfix' ? postfixUid() : process.getuid?.()) ?? 0;
  const own = (path: string) => {
    if (isRoot) chownSync(path, uid, -1);
  };
  for (const name of [
    '',
    'maildrop',
    'incoming',
    'active',
    'deferred',
    'hold',
    'corrupt',
    'bounce',
    'defer',
    'trace',
    'flush',
  ]) {
    mkdirSync(join(queue, name));
    own(join(queue, name));
  }
  for (const [path, source, mode] of FILES) {
    const folder = dirname(join(queue, path));
    mkdirSync(folder, { recursive: true });
    own(folder);
    copyFileSync(join(DATA, source), join(queue, path));
    chmodSync(join(queue, path), mode);
    own(join(queue, path));
  }
  writeFileSync(join(directory, 'log'), '');
  own(join(directory, 'log'));
  const main = `queue_directory = ${queue}\nmail_owner = ${owner}\ncompatibility_level = 3.6
maillog_file = ${join(directory, 'log')}\nmaillog_file_prefixes = ${directory}
myhostname = mx.lab.test\ninet_interfaces = 127.0.0.1\n${settings}\n`;
  writeSettled(join(directory, 'main.cf'), main);
  writeFileSync(join(directory, 'master.cf'), '');
  return { directory, queue };
}

function postfixUid(): number | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('postfix:'));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

/** Postfix insists on an owner that is not root; without it ours is as good as any. */
function ownerName(): string {
  return isRoot && postfixUid() !== undefined ? 'postfix' : userInfo().username;
}

function run(program: string, { directory }: Spool, args: readonly string[], input = '') {
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  const { status, stderr } = spawnSync(program, ['-c', directory, ...args], {
    input,
    env: environment,
  });
  const log = readFileSync(join(directory, 'log'), 'utf8');
  const lines = log.split('\n').map((line) => line.replace(/^.*?postfix\/postsuper\[\d+\]: /, ''));
  return { status, stderr: stderr.toString(), log: lines.join('\n') };
}

/** Every file with its mode; the inode in a name shows as INODE. */
function tree({ queue }: Spool): string[] {
  const names = readdirSync(queue, { recursive: true }).map(String).sort();
  return names.flatMap((name) => {
    const stats = lstatSync(join(queue, name));
    if (!stats.isFile()) return [];
    const inode = stats.ino.toString(16).toUpperCase();
    return [`${(stats.mode & 0o777).toString(8)} ${name.replace(inode, 'INODE')}`];
  });
}

const COMMANDS: [string[], string?, string?][] = [
  [
    [
      '-d',
      'AAAAA1',
      '-h',
      'AAAAA2',
      '-H',
      'AAAAA4',
      '-r',
      'AAAAA3',
      '-e',
      'BBBBB6',
      '-f',
      'AAAAA8',
      '-d',
      'AAAAA5',
    ],
  ],
  [['-d', 'AAAAA3']],
  [['-d', 'NOSUCH', '-d', 'bad/id', '-r', 'NOSUCH2']],
  [['-d', '-'], 'AAAAA1\n AAAAA2 \nbad/x\n'],
  [['-d', 'ALL']],
  [['-h', 'ALL']],
  [['-H', 'ALL']],
  [['-r', 'ALL']],
  [['-e', 'ALL']],
  [['-f', 'ALL']],
  [['-h', 'AAAAA4']],
  [['-d', 'AAAAA1', 'hold']],
  [['-d', 'ALL', 'trace', 'hold']],
  [['corrupt']],
  [['-d']],
  [['-Z']],
  [['-p']],
  [['-s', 'hold', 'incoming']],
  [['-s', 'hold', 'incoming'], '', 'enable_long_queue_ids = yes'],
  [['-s', '-d', 'AAAAA1', 'hold']],
  [['-s', 'hold'], '', 'hash_queue_names = deferred, defer, hold\nhash_queue_depth = 2'],
];

for (const [args, input = '', settings = ''] of COMMANDS) {
  test(`postsuper ${args.join(' ')} ${settings} does what Postfix does`, (t) => {
    if (!isRoot || !existsSync(REAL)) return t.skip('needs root, and Postfix installed');
    const theirs = spool(t, settings);
    const ours = spool(t, settings);
    const expected = run(REAL, theirs, args, input);
    const found = run(POSTSUPER, ours, args, input);
    assert.deepEqual(found, expected);
    assert.deepEqual(tree(ours), tree(theirs));
    return undefined;
  });
}

test('a repaired message keeps its logs', (t) => {
  const instance = spool(t);
  const { status, stderr } = run(POSTSUPER, instance, ['-s']);
  assert.equal(status, 0);
  assert.equal(
    stderr,
    'postsuper: Renamed to match inode number: 7 messages\n' +
      'postsuper: warning: QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS\n',
  );
  const { queue } = instance;
  const [id = ''] = readdirSync(join(queue, 'deferred/A'));
  assert.equal(
    id,
    `AAAAA${lstatSync(join(queue, 'deferred/A', id))
      .ino.toString(16)
      .toUpperCase()}`,
  );
  for (const folder of ['defer/A', 'bounce', 'trace']) {
    assert.deepEqual(readdirSync(join(queue, folder)), [id]);
  }
  assert.equal(run(POSTSUPER, instance, ['-s']).stderr, '');
});

test('a repair that was interrupted is completed', (t) => {
  const instance = spool(t);
  const path = join(instance.queue, 'hold/HOLD1F#FIX');
  copyFileSync(join(instance.queue, 'hold/AAAAA4'), path);
  run(POSTSUPER, instance, ['-s', 'hold']);
  assert.ok(tree(instance).every((line) => !line.includes('#FIX')));
  assert.ok(existsSync(path.replace('#FIX', '')));
});

test('only files that nobody works on are purged', (t) => {
  const instance = spool(t);
  for (const [name, days] of [
    ['hold/NEW123', 1],
    ['hold/OLD123', 8],
    ['incoming/123.45', 8],
  ] as const) {
    const path = join(instance.queue, name);
    writeFileSync(path, '', { mode: 0o600 });
    if (isRoot) chownSync(path, lstatSync(instance.queue).uid, -1);
    const time = Date.now() / 1000 - days * 86_400;
    utimesSync(path, time, time);
  }
  assert.equal(run(POSTSUPER, instance, ['-p']).status, 0);
  assert.deepEqual(readdirSync(join(instance.queue, 'hold')).sort(), [
    'AAAAA4',
    'AAAAA8',
    'NEW123',
  ]);
  assert.deepEqual(readdirSync(join(instance.queue, 'incoming')), ['AAAAA1']);
});

test('a message that is still being written is not moved', (t) => {
  const instance = spool(t);
  chmodSync(join(instance.queue, 'incoming/AAAAA1'), 0o600);
  run(POSTSUPER, instance, ['-h', 'ALL', '-h', 'AAAAA1']);
  assert.deepEqual(readdirSync(join(instance.queue, 'incoming')), ['AAAAA1']);
});

test('nothing is ever overwritten', (t) => {
  const instance = spool(t);
  copyFileSync(join(DATA, 'verp'), join(instance.queue, 'hold/AAAAA1'));
  const { stderr } = run(POSTSUPER, instance, ['-h', 'AAAAA1']);
  assert.match(stderr, /warning: can't rename incoming\/AAAAA1 to hold\/AAAAA1: File exists/);
  assert.ok(
    readFileSync(join(instance.queue, 'hold/AAAAA1')).equals(readFileSync(join(DATA, 'verp'))),
  );
});
