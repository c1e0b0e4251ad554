/** The users of a machine: of one that has other users than this one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { now } from '../../../lib/clock/clock.ts';
import { freshDirectory } from '../../support/directories.ts';

const canMount = spawnSync('unshare', ['-m', 'true']).status === 0;
const HASH =
  '$6$abcdefgh$x0o6yD48j5ARRWoAMCR7LyNAWftPgohpTO.7j6t6LpTHU7.o.QoRxMMr0cKvnus44//Pxz.RElGv2Bdbw0Kmz1';
const YESCRYPT = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$5kNkF6Cyjk.2T4i12u9KuzNWAjwM1TPIEQdU0SwGq.0';
const today = Math.floor(now() / 86_400_000);

/** Lines of /etc/shadow behind the name, and whether who has them may log in with the password. */
const USERS: Readonly<Record<string, readonly [shadow: string, may: boolean]>> = {
  sha: [`${HASH}:19000:0:99999:7:::`, true],
  yescrypt: [`${YESCRYPT}:19000:0:99999:7:::`, true],
  bare: [`${HASH}:::::::`, true],
  locked: [`!${HASH}:19000:0:99999:7:::`, false],
  never: ['*:19000:0:99999:7:::', false],
  open: [':19000:0:99999:7:::', false],
  ended: [`${HASH}:19000:0:99999:7::${today - 1}:`, false],
  'ends-later': [`${HASH}:19000:0:99999:7::${today + 2}:`, true],
  old: [`${HASH}:${today - 100}:0:30:7:10::`, false],
  'to-be-changed': [`${HASH}:${today - 35}:0:30:7:10::`, false],
  'at-once': [`${HASH}:0:0:99999:7:::`, false],
  fresh: [`${HASH}:${today - 25}:0:30:7:10::`, true],
  system: [`${HASH}:19000:0:99999:7:::`, false],
};

const hasPam = existsSync('/etc/pam.d/other');
/** A file of /etc/pam.d for each source. */
const PAM: Readonly<Record<string, string>> = {
  smtp: 'auth required pam_unix.so\naccount required pam_unix.so\n',
  barred: 'auth required pam_unix.so\naccount required pam_deny.so\n',
  broken: 'auth required pam_nosuch.so\naccount required pam_permit.so\n',
};

/** Asks a source, on a machine with those users. */
function ask(t: TestContext, source: string, tries: readonly string[]): Record<string, unknown> {
  const directory = freshDirectory(t);
  const [passwd, shadow] = [join(directory, 'passwd'), join(directory, 'shadow')];
  const names = Object.keys(USERS);
  const uidOf = (name: string) => (name === 'system' ? 999 : 1000);
  writeFileSync(passwd, names.map((name) => `${name}:x:${uidOf(name)}:1000::/:\n`).join(''));
  writeFileSync(
    shadow,
    Object.entries(USERS)
      .map(([name, [line]]) => `${name}:${line}\n`)
      .join(''),
  );
  const pam = join(directory, 'pam.d');
  mkdirSync(pam);
  for (const [name, text] of Object.entries(PAM)) writeFileSync(join(pam, name), text);
  const program = join(process.cwd(), 'build/test/services/auth/asking.cjs');
  const mounts = [
    `mount --bind ${passwd} /etc/passwd`,
    `mount --bind ${shadow} /etc/shadow`,
    ...(hasPam ? [`mount --bind ${pam} /etc/pam.d`] : []),
  ];
  const script = `${mounts.join(' && ')} && exec "$@"`;
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', script, 'sh', process.execPath, program, source, ...tries],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  return JSON.parse(stdout) as Record<string, unknown>;
}

const skip = !canMount && 'no file can be put over /etc/shadow here';
const tries = [...Object.keys(USERS), 'nobody-here'].flatMap((name) => [
  `${name}:se:cret`,
  `${name}:wrong`,
]);
const expected = Object.fromEntries(
  tries.map((each) => [each, each.endsWith(':se:cret') && USERS[each.slice(0, -8)]?.[1] === true]),
);

for (const source of ['system', 'pam']) {
  test(`who may log in to the machine may here, and nobody else: ${source}`, {
    skip: skip || (source === 'pam' && !hasPam && 'no PAM'),
  }, (t) => {
    assert.deepEqual(ask(t, source, tries), expected);
  });
}

test('PAM may know the password, and bar the user; and it may be in trouble', {
  skip: skip || (!hasPam && 'no PAM'),
}, (t) => {
  assert.deepEqual(ask(t, 'pam:barred', ['sha:se:cret']), { 'sha:se:cret': false });
  const trouble = 'SaslTrouble: Module is unknown';
  assert.deepEqual(ask(t, 'pam:broken', ['sha:se:cret']), { 'sha:se:cret': trouble });
});
