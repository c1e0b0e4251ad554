/**
 * Files that are larger than anybody means them to be, and files that everybody may write: both mail
 * systems do the same with them. What we refuse, and Postfix takes memory for, comes last.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { BUILD, type MailSystem } from '../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';
import { MAKERS, runTool, startSystemOf } from './makers.ts';

const MIB = 1024 * 1024;
const LONG = 'v'.repeat(10 * MIB);
const skip = whyNoPostfix();

/** A directory with a main.cf and other files. */
function place(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
  word = 'short',
): string {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), `mail_name = ${word}\nqueue_directory = ${directory}\n`);
  writeSettled(join(directory, 'master.cf'), `long unix - - n - - pipe -o mail_name=${word}\n`);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function run(maker: Maker, command: string, cwd: string, args: readonly string[]) {
  const path = join(maker === 'ours' ? join(BUILD, 'bin') : '/usr/sbin', command);
  const { status, stdout, stderr } = spawnSync(path, ['-c', cwd, ...args], {
    argv0: command,
    cwd,
    encoding: 'latin1',
    maxBuffer: 64 * MIB,
  });
  return { status, stdout, stderr };
}

test('commands read lines of 10 MB as Postfix', { skip }, async (t) => {
  const domain = `${'x'.repeat(500)}.test`;
  const members = Array.from({ length: 20_000 }, (_, at) => `user${at}@${domain}`);
  const files = {
    value: `key ${LONG}\nother value\n`,
    key: `${LONG} value\nother value\n`,
    rules: `/^x/ ${LONG}\n/other/ value\n`,
    networks: `10.0.0.0/8 ${LONG}\n192.0.2.0/24 value\n`,
    aliases: `big: ${members.join(', ')}\nother: value\n`,
  };
  const directory = place(t, files, LONG);
  const commands: readonly (readonly [string, string])[] = [
    ['postconf', '-h mail_name'],
    ['postconf', '-P long/unix/mail_name'],
    ['postmap', '-q other texthash:value'],
    ['postmap', '-q other texthash:key'],
    ['postmap', 'hash:value'],
    ['postmap', 'hash:key'],
    ['postmap', '-q 192.0.2.1 cidr:networks'],
    ['postmap', '-q other regexp:rules'],
    ['postalias', 'hash:aliases'],
  ];
  for (const [command, words] of commands) {
    await t.test(`${command} ${words}`, () => {
      const [ours, real] = MAKERS.map((maker) => {
        const made = words.startsWith('-') ? '' : (words.split(':')[1] ?? '');
        if (made !== '') spawnSync('rm', ['-f', join(directory, `${made}.db`)]);
        return run(maker, command, directory, words.split(' '));
      });
      assert.ok(JSON.stringify(ours) === JSON.stringify(real), words);
      assert.ok(real?.status === 0, real?.stderr.slice(0, 1000));
    });
  }
});

test('postmap makes a table of a source of 100 MB', { skip }, (t) => {
  const row = Buffer.alloc(MIB, 'v');
  const lines = Array.from({ length: 100 }, (_, at) => [Buffer.from(`key${at} `), row, '\n']);
  const source = Buffer.concat(lines.flat().map((piece) => Buffer.from(piece)));
  const directory = place(t, { source });
  assert.deepEqual(run('ours', 'postmap', directory, ['hash:source']), {
    status: 0,
    stdout: '',
    stderr: '',
  });
  const asked = run('ours', 'postmap', directory, ['-q', 'key99', 'hash:source']);
  assert.equal(asked.stdout.length, MIB + 1);
  const read = run('ours', 'postmap', directory, ['-q', 'key99', 'texthash:source']);
  assert.equal(read.stdout.length, MIB + 1);
});

/** What each is refused with. */
const REFUSED: Readonly<Record<string, { make(path: string): void; says: RegExp }>> = {
  texthash: {
    make: (path) => truncateSync(path, 150 * MIB),
    says: /fatal: \S+: 157286400 bytes, more than the 134217728 a table's source may have/,
  },
  cidr: {
    make: (path) => truncateSync(path, 150 * MIB),
    says: /fatal: \S+: 157286400 bytes, more than the 134217728/,
  },
  regexp: {
    make: (path) => writeFileSync(path, '/a/ b\n'.repeat(50_001)),
    says: /fatal: regexp map \S+: more than 50000 rules, which is too many for memory/,
  },
  hash: {
    make: (path) => truncateSync(path, 300 * MIB),
    says: /fatal: \S+: 314572800 bytes, more than the 268435456/,
  },
};

test('tables that would not fit in memory are refused', (t) => {
  for (const [type, { make, says }] of Object.entries(REFUSED)) {
    const directory = place(t, { table: '' });
    make(join(directory, 'table'));
    const args = type === 'hash' ? ['hash:table'] : ['-q', 'x', `${type}:table`];
    const { status, stderr } = run('ours', 'postmap', directory, args);
    assert.equal(status, 1, type);
    assert.match(stderr, says);
  }
  const directory = place(t, {
    wrong: 'wrong\n'.repeat(1500),
    rule: `/${'x'.repeat(70_000)}/ y\n`,
  });
  const { stderr } = run('ours', 'postmap', directory, ['-q', 'x', 'texthash:wrong']);
  assert.equal(stderr.split('\n').length, 1002);
  assert.match(stderr, /wrong: and 500 more such warnings\n$/);
  const { stderr: said } = run('ours', 'postmap', directory, ['-q', 'x', 'regexp:rule']);
  assert.match(said, /rule, line 1: expression of 70000 characters, more than 65536: skipping/);
});

test('aliases of 10 MB, and files that everybody may write', { skip }, async (t) => {
  const said = await Promise.all(
    MAKERS.map(async (maker) => {
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        main: {
          alias_maps: 'texthash:$config_directory/open/aliases',
          transport_maps: 'texthash:$config_directory/open/transport',
        },
        stopped: true,
      });
      layOut(mail);
      mail.start();
      const users = ['long', 'plain', 'listed', 'included'];
      const send = ['-f', 'root@lab.test', ...users.map((user) => `${user}@lab.test`)];
      assert.equal(runTool(maker, mail, 'sendmail', send, 'Subject: x\n\n').status, 0);
      runTool(maker, mail, 'postkick', ['public', 'pickup', 'W']);
      for (const user of users) {
        await mail.waitForLog(new RegExp(`to=<${user}@lab\\.test>.*status=`), 60_000);
      }
      for (const user of ['listed', 'included']) {
        await mail.waitForLog(new RegExp(`to=<${user}@lab\\.test>.*status=bounced`));
      }
      mail.stop();
      const lines = mail.log().split('\n');
      return lines
        .filter(
          (line) =>
            /local\[\d+\]/.test(line) && /status=|warning/.test(line) && !/to=<root@lab/.test(line),
        )
        .map((line) => line.replace(/^.*?local\[\d+\]: (?:\w+: to=)?/, ''))
        .map((line) => line.replace(/delay.*dsn=/, 'dsn=').replaceAll(mail.directory, 'DIR'))
        .sort();
    }),
  );
  assert.deepEqual(said[0], said[1]);
});

/** A directory of files that are anybody's. */
function layOut({ config }: MailSystem): void {
  const open = join(config, 'open');
  mkdirSync(open);
  const lines = [
    `unused: ${LONG}`,
    'long: root',
    'plain: root',
    `listed: :include:${open}/list`,
    `included: root, :include:${open}/list`,
  ];
  writeFileSync(join(open, 'aliases'), lines.map((line) => line.replace(':', ' ')).join('\n'));
  writeFileSync(join(open, 'transport'), 'x.test discard:\n');
  writeFileSync(join(open, 'list'), 'root\n');
  for (const name of ['aliases', 'transport', 'list']) chmodSync(join(open, name), 0o666);
  assert.equal(statSync(join(open, 'list')).mode & 0o777, 0o666);
}
