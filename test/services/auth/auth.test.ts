/** auth(8), with our smtpd in front of it, and with Postfix's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isPasswordOf } from '../../../lib/os/crypt.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { commandOf, type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { logIn, tryMechanisms } from '../smtpd/sasl-client.ts';

const needsRoot = process.getuid?.() === 0 ? false : 'auth runs as root';
const ALL = ['SCRAM-SHA-256', 'CRAM-MD5', 'PLAIN', 'LOGIN'];
const JOE = { user: 'joe', password: 'se:cret' };
/** What `doveadm pw -s SCRAM-SHA-256 -p se:cret` says. */
const SCRAM_FILE =
  '{SCRAM-SHA-256}4096,QikbemZdpwU6w33kOvcocg==,' +
  'pju6+puebZLGtvBx1z2/6O2pOxRcid54EsNKk5QffQU=,HvdENZ1eJq+BCPUYzN/8LawGOav2GVoRNEAK72L3aI0=';

/** The same password, in every form that crypt(3) knows. */
const HASHES: Readonly<Record<string, string>> = {
  yescrypt: '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$5kNkF6Cyjk.2T4i12u9KuzNWAjwM1TPIEQdU0SwGq.0',
  'SHA-512':
    '$6$abcdefgh$x0o6yD48j5ARRWoAMCR7LyNAWftPgohpTO.7j6t6LpTHU7.o.QoRxMMr0cKvnus44//Pxz.RElGv2Bdbw0Kmz1',
  'SHA-256': '$5$abcdefgh$tegRTvdccUdHGSvr2Qov3K7iDjo2qT9HvkntMyEsYm9',
  MD5: '$1$abcdefgh$y5IVzei8pZ4pviJaCwbiQ.',
  bcrypt: '$2b$05$abcdefghijklmnopqrstuuWqeDdmk0qhXLYvA33lbC9M700ynI2Oa',
  scrypt: '$7$CU..../....abcdefghijklmnopqrstu$pk2H0hCx4QgyLJqAL09EP/klqFWfwxIVtMxhazf3kO/',
};

test('a password is known by each kind of hash, and a wrong one is not', async () => {
  for (const [name, hash] of Object.entries(HASHES)) {
    assert.equal(await isPasswordOf(hash, JOE.password), true, name);
    assert.equal(await isPasswordOf(hash, `${JOE.password}x`), false, name);
  }
  for (const hash of ['', '!', '*', '!!', 'x', `!${HASHES.yescrypt}`, '*0', '*1', '$9$x$y']) {
    assert.equal(await isPasswordOf(hash, ''), false, hash);
    assert.equal(await isPasswordOf(hash, '*0'), false, hash);
  }
});

async function start(
  t: TestContext,
  users: string,
  { maker = 'ours', main = {} }: { maker?: Maker; main?: Readonly<Record<string, string>> } = {},
): Promise<{ mail: MailSystem; file: string }> {
  const file = join(freshDirectory(t), 'passwords');
  writeFileSync(file, users);
  chmodSync(file, 0o600);
  const mail = await startMailSystem(t, {
    main: {
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: maker === 'ours' ? 'posthaste' : 'dovecot',
      ...(maker === 'ours' ? {} : { smtpd_sasl_path: 'private/auth' }),
      smtpd_peername_lookup: 'no',
      smtpd_error_sleep_time: '0',
      auth_sources: file,
      auth_failure_delay: '0',
      ...main,
    },
    only: [
      `127.0.0.1:0 inet n - n - 2 ${commandOf('ours', maker, 'smtpd')}`,
      `proxymap unix - - n - - ${commandOf('ours', maker, 'proxymap')}`,
      'auth unix - n n - 0 auth -v',
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'anvil unix - - n - 1 anvil',
    ],
  });
  return { mail, file };
}

/** What a file knows of its users decides what they can do: nobody is offered what would fail. */
const FILES: Readonly<
  Record<string, { readonly users: string; readonly works: readonly string[] }>
> = {
  'a password in clear text': { users: `joe:{PLAIN}${JOE.password}\n`, works: ALL },
  "SCRAM's keys": {
    users: `# ours\njoe:${SCRAM_FILE}\n`,
    works: ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'],
  },
  'a hash': { users: `ann:{PLAIN}x\njoe:${HASHES.yescrypt}::::\n`, works: ['PLAIN', 'LOGIN'] },
  'a hash with a name': {
    users: `joe:{BLF-CRYPT}${HASHES.bcrypt}\n`,
    works: ['PLAIN', 'LOGIN'],
  },
};

const RIGHT = ['235', '535', '535'];
const NOT_OFFERED = ['535', '535', '535'];

for (const [name, { users, works }] of Object.entries(FILES)) {
  test(`smtpd logs in who has ${name} in a file`, { skip: needsRoot }, async (t) => {
    const { mail } = await start(t, users);
    const found = await tryMechanisms({ port: mail.port }, ALL, JOE);
    const expected = ALL.map((each) => [each, works.includes(each) ? RIGHT : NOT_OFFERED]);
    assert.deepEqual(found, Object.fromEntries(expected));
    assert.doesNotMatch(mail.log(), /se:cret|fatal|panic|error:/);
  });
}

test("Postfix's smtpd uses it, too", { skip: needsRoot || whyNoPostfix() }, async (t) => {
  const { mail } = await start(t, `joe:{PLAIN}${JOE.password}\n`, { maker: 'real' });
  const found = await tryMechanisms({ port: mail.port }, ALL, JOE);
  assert.deepEqual(found, Object.fromEntries(ALL.map((name) => [name, RIGHT])));
  await mail.waitForLog(/SASL CRAM-MD5 authentication failed: \(reason .*\), sasl_username=joe/);
});

test('a file that has changed counts at once, and its mistakes are named', {
  skip: needsRoot,
}, async (t) => {
  const { mail, file } = await start(t, 'ann:{PLAIN}x\njoe\njoe:{ROT13}x\n:{PLAIN}x\n');
  const door = { port: mail.port };
  assert.match(await logIn(door, 'PLAIN', JOE), /^535 5\.7\.8 .*: \(reason unavailable\)$/);
  for (const line of [2, 3, 4]) {
    await mail.waitForLog(new RegExp(`warning: ${file}, line ${line}: specify name:password`));
  }
  writeFileSync(file, `ann:{PLAIN}x\njoe:{PLAIN}${JOE.password}\n`);
  chmodSync(file, 0o644);
  assert.match(await logIn(door, 'PLAIN', JOE), /^235/);
  await mail.waitForLog(/others can read the passwords: chmod 600/);
  writeFileSync(file, '');
  assert.match(await logIn(door, 'PLAIN', JOE), /^535/);
});

test('without its file nobody is refused for good', { skip: needsRoot }, async (t) => {
  const { mail } = await start(t, '', { main: { auth_sources: '/nowhere/passwords' } });
  const reply = await logIn({ port: mail.port }, 'PLAIN', JOE);
  assert.equal(reply, '454 4.7.0 Temporary authentication failure: password file unavailable');
  await mail.waitForLog(/cannot read the password file \/nowhere\/passwords: No such file/);
});

/** Somebody who has a password on this machine; tests make no users. */
const somebody = (() => {
  if (needsRoot) return undefined;
  const lines = readFileSync('/etc/shadow', 'utf8').split('\n');
  return lines.find((line) => /^[^:]+:[!*]/.test(line))?.split(':')[0];
})();

test('who may not log in to the machine may not here', {
  skip: needsRoot || (somebody === undefined && 'everybody may'),
}, async (t) => {
  const main = { auth_sources: 'system', auth_minimum_uid: '0' };
  const { mail } = await start(t, '', { main });
  for (const password of ['', '*', '!', 'x']) {
    const reply = await logIn({ port: mail.port }, 'LOGIN', { user: somebody ?? '', password });
    assert.match(reply, /^535/);
  }
});

/** What no smtpd says: the connection ends, or the answer is no. */
const NONSENSE: Readonly<Record<string, { readonly lines: string; readonly answer: RegExp }>> = {
  'another version': { lines: 'VERSION\t2\t0\n', answer: /DONE\n$/ },
  'a mechanism that there is not': { lines: 'AUTH\t1\tFOO\n', answer: /DONE\n$/ },
  'no number': { lines: 'AUTH\tx\tPLAIN\n', answer: /DONE\n$/ },
  'the same number twice': { lines: 'AUTH\t1\tLOGIN\nAUTH\t1\tLOGIN\n', answer: /DONE\n/ },
  'a line without an end': { lines: 'x'.repeat(100_000), answer: /DONE\n$/ },
  'a number that there is not': { lines: 'CONT\t7\tAAAA\n\n', answer: /\nFAIL\t7\n$/ },
  'no base64': { lines: 'AUTH\t1\tPLAIN\tresp=!!\n', answer: /\nFAIL\t1\n$/ },
  'a password too many': {
    lines: `AUTH\t1\tPLAIN\tresp=${Buffer.from('\0joe\0a\0b').toString('base64')}\n`,
    answer: /\nFAIL\t1\n$/,
  },
  'what it does not know': { lines: 'FOO\tbar\nCANCEL\t9\nCPID\n\n', answer: /DONE\n$/ },
};

test('it bears with everything that is said to it', { skip: needsRoot }, async (t) => {
  const { mail } = await start(t, `joe:{PLAIN}${JOE.password}\n`);
  const path = join(mail.queue, 'private/auth');
  for (const [name, { lines, answer }] of Object.entries(NONSENSE)) {
    await t.test(name, async () => {
      const socket = connect(path).setEncoding('utf8');
      let heard = '';
      let hasEnded = false;
      socket.on('data', (text: string) => {
        heard += text;
      });
      for (const event of ['close', 'error']) socket.on(event, () => (hasEnded = true));
      socket.write(lines);
      await eventually(`an answer to ${name}`, () => answer.test(heard) || hasEnded);
      socket.destroy();
      assert.match(heard, answer);
    });
  }
  assert.match(await logIn({ port: mail.port }, 'SCRAM-SHA-256', JOE), /^235/);
  assert.doesNotMatch(mail.log(), /fatal|panic/);
});

test('doveadm writes files for it', {
  skip: !existsSync('/usr/bin/doveadm') && 'no doveadm',
}, async (t) => {
  const configuration = join(freshDirectory(t), 'dovecot.conf');
  writeFileSync(configuration, 'ssl = no\n');
  const options = ['-c', configuration, 'pw', '-s', 'SCRAM-SHA-256', '-p', JOE.password];
  const { stdout } = spawnSync('/usr/bin/doveadm', options, { encoding: 'utf8' });
  const { mail } = await start(t, `joe:${stdout}`);
  assert.match(await logIn({ port: mail.port }, 'SCRAM-SHA-256', JOE), /^235/);
});
