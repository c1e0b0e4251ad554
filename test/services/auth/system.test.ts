/** The users of a machine: of one that has other users than this one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
  'old-but-fine': [`${HASH}:${today - 35}:0:30:7:10::`, true],
  system: [`${HASH}:19000:0:99999:7:::`, false],
};

test('who may log in to the machine may here, and nobody else', {
  skip: !canMount && 'no file can be put over /etc/shadow here',
}, (t) => {
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
  const program = join(process.cwd(), 'build/test/services/auth/asking.cjs');
  const tries = [...names, 'nobody-here'].flatMap((name) => [`${name}:se:cret`, `${name}:wrong`]);
  const mount = `mount --bind ${passwd} /etc/passwd && mount --bind ${shadow} /etc/shadow`;
  const script = `${mount} && exec "$@"`;
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', script, 'sh', process.execPath, program, '1000', ...tries],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  const expected = Object.entries(USERS).flatMap(([name, [, may]]) => [
    [`${name}:se:cret`, may],
    [`${name}:wrong`, false],
  ]);
  expected.push(['nobody-here:se:cret', false], ['nobody-here:wrong', false]);
  assert.deepEqual(JSON.parse(stdout), Object.fromEntries(expected));
});
