/** `postfix upgrade-configuration` and `set-permissions`, beside Postfix's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';

const skip = whyNoPostfix();
const PROGRAMS = { ours: join(BUILD, 'bin/postfix'), real: '/usr/sbin/postfix' } as const;
type Maker = keyof typeof PROGRAMS;

function place(t: TestContext, master: string, main = 'inet_protocols = ipv4\n') {
  const base = freshDirectory(t);
  chmodSync(base, 0o755);
  for (const name of ['c', 'q', 'd']) mkdirSync(join(base, name));
  const own = `queue_directory = ${base}/q\ndata_directory = ${base}/d\nmaillog_file = ${base}/log\n`;
  const rest = `compatibility_level = 3.6\nmaillog_file_prefixes = ${base}\n`;
  writeSettled(join(base, 'c/main.cf'), own + rest + main);
  writeFileSync(join(base, 'c/master.cf'), master);
  return base;
}

function run(maker: Maker, base: string, verb: string) {
  const { status, stdout } = spawnSync(PROGRAMS[maker], ['-c', join(base, 'c'), verb], {
    encoding: 'utf8',
  });
  return { status, stdout: stdout.replaceAll(base, 'BASE') };
}

const OLD = `# a comment
smtp      inet  n       -       n       -       -       smtpd
pickup    fifo  n       n       n       60      1       pickup
cleanup   unix  -       -       n       -       0       cleanup
qmgr      fifo  n       -       n       300     1       qmgr
flush     unix  -       -       n       1000?   0       flush
verify    unix  -       -       n       -       0       verify
tlsmgr    fifo  -       -       n       300     1       tlsmgr
proxywrite unix -       -       n       -       -       proxymap
bounce    unix  -       -       n       -       0       bounce
`;

for (const [what, master] of Object.entries({
  empty: '',
  old: OLD,
  'of today': readFileSync('etc/master.cf', 'utf8'),
})) {
  test(`upgrade-configuration: a master.cf that is ${what}`, { skip }, (t) => {
    const [ours, theirs] = [place(t, master), place(t, master)];
    const [mine, his] = [
      run('ours', ours, 'upgrade-configuration'),
      run('real', theirs, 'upgrade-configuration'),
    ];
    assert.equal(mine.status, his.status);
    const edited = (text: string) => text.split('\n').filter((line) => line.startsWith('Editing'));
    assert.deepEqual(edited(mine.stdout), edited(his.stdout));
    const text = (base: string) => readFileSync(join(base, 'c/master.cf'), 'utf8');
    assert.equal(text(ours), text(theirs));
    assert.deepEqual(run('ours', ours, 'upgrade-configuration'), { status: 0, stdout: '' });
  });
}

test('upgrade-configuration: main.cf', { skip }, (t) => {
  const main = 'hash_queue_names = incoming\n';
  const bases = [place(t, OLD, main), place(t, OLD, main)] as const;
  run('ours', bases[0], 'upgrade-configuration');
  run('real', bases[1], 'upgrade-configuration');
  const [ours, theirs] = bases.map((base) =>
    readFileSync(join(base, 'c/main.cf'), 'utf8').replaceAll(base, 'BASE').replace(/ +/g, ' '),
  );
  assert.equal(ours, theirs);
});

test('after set-permissions, check has nothing to say', { skip }, (t) => {
  const base = place(t, 'postlog unix-dgram n - n - 1 postlogd\n');
  run('ours', base, 'check');
  for (const name of ['q', 'q/deferred', 'q/public', 'q/maildrop', 'q/pid', 'd', 'c']) {
    chownSync(join(base, name), 65534, 0);
    chmodSync(join(base, name), 0o777);
  }
  mkdirSync(join(base, 'q/deferred/A'));
  writeFileSync(join(base, 'q/deferred/A/A1B2C3D4E5'), '');
  chmodSync(join(base, 'q/deferred/A/A1B2C3D4E5'), 0o600);
  chmodSync(join(base, 'c/main.cf'), 0o666);
  assert.deepEqual(run('ours', base, 'set-permissions'), { status: 0, stdout: '' });
  writeFileSync(join(base, 'log'), '');
  assert.equal(run('ours', base, 'check').status, 0);
  const said = readFileSync(join(base, 'log'), 'utf8').split('\n');
  assert.deepEqual(
    said.filter((line) => line.includes(base)),
    [],
  );
  assert.equal(statSync(join(base, 'q/deferred/A/A1B2C3D4E5')).mode & 0o777, 0o600);
});
