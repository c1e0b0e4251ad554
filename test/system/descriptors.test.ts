/**
 * A command that a recipient names gets no descriptor: none of the daemon that starts it, and none
 * that somebody left open when the mail system was started.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { BUILD, startMailSystem } from '../support/mail-system.ts';

/** Beyond those that Node looks at by itself. */
const STRAY_FD = 40;
const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';

test('a command gets no descriptor of the mail system', { skip }, async (t) => {
  const mail = await startMailSystem(t, {
    stopped: true,
    mailDirectory: true,
    files: {
      look: '#!/bin/sh\ncat >/dev/null\nls -l /proc/self/fd >"$1".new 2>&1\nmv "$1".new "$1"\n',
    },
  });
  const look = join(mail.config, 'look');
  chmodSync(look, 0o755);
  const found = join(mail.directory, 'mail/found');
  writeFileSync(join(mail.config, 'aliases'), `look "|${look} ${found}"\n`);
  const stray = openSync('/etc/hostname', 'r');
  const stdio: (number | 'ignore')[] = Array<'ignore'>(STRAY_FD).fill('ignore');
  const args = ['-c', mail.config, 'start'];
  assert.equal(spawnSync(join(BUILD, 'bin/postfix'), args, { stdio: [...stdio, stray] }).status, 0);
  closeSync(stray);
  await mail.send({ from: 'games@lab.test', to: ['look@lab.test'] });
  await eventually('what the command saw', () => statSync(found, { throwIfNoEntry: false }));
  const numbers = readFileSync(found, 'latin1').match(/(?<= )\d+(?= -> )/g) ?? [];
  // Its own three, and the directory that ls reads.
  assert.deepEqual(numbers, ['0', '1', '2', '3'], readFileSync(found, 'latin1'));
});
