/** Where inet services listen: names as libc knows them, beside Postfix's master. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { converse } from '../services/smtpd/dialogue.ts';
import { PATIENCE_MS } from '../support/condition.ts';
import { freePort } from '../support/ports.ts';
import { daemonDirectory, whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, startSystemOf } from './makers.ts';

const NAMES = ['localhost:PORT', ':PORT', 'PORT', '[127.0.0.1]:PORT'];

for (const maker of MAKERS) {
  test(`inet services by name (${maker})`, {
    skip: maker === 'real' && whyNoPostfix(),
  }, async (t) => {
    const ports = await Promise.all(NAMES.map(() => freePort()));
    const lines = NAMES.map((name, at) => {
      return `${name.replace('PORT', String(ports[at]))} inet n - n - - smtpd`;
    });
    // Ours takes what libc takes for an address, too; nobody lists this one.
    const interfaces = maker === 'ours' ? '127.1' : 'localhost';
    await startSystemOf(t, maker, {
      relayPort: 1,
      main: { inet_interfaces: interfaces },
      master: lines,
    });
    for (const port of ports) {
      const [greeting] = await converse({ port }, []);
      assert.equal(greeting, '220 mx.lab.test ESMTP Postfix');
    }
  });
}

test('services that share a port are told apart by their addresses, as in Postfix', {
  skip: whyNoPostfix(),
}, async (t) => {
  const greetings = await Promise.all(
    MAKERS.map(async (maker) => {
      const port = await freePort();
      const hosts = ['', '127.0.0.1:', '127.0.0.9:', '0.0.0.0:'];
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        main: { inet_interfaces: 'all', mynetworks: '127.0.0.0/8' },
        master: [
          ...hosts.map(
            (host, at) => `${host}${port} inet n - n - - smtpd -o smtpd_banner=at-${at}`,
          ),
          `:${port} inet n - n - - smtpd -o smtpd_banner=at-4`,
        ],
      });
      // An address of its own decides; all that listen at 0.0.0.0 take turns.
      const ask = async (host: string) => (await converse({ port, host, from: host }, []))[0];
      const said = [await ask('127.0.0.1'), await ask('127.0.0.9')];
      assert.match((await ask('127.0.0.2')) ?? '', /^220 at-[34]$/);
      const lines = mail.log().split('\n');
      const warnings = lines.filter((line) => line.includes('duplicate master.cf entry'));
      const text = warnings.map((line) =>
        line.replace(/^.*warning: /, '').replaceAll(`${port}`, 'PORT'),
      );
      return { said, text };
    }),
  );
  assert.deepEqual(greetings[0], greetings[1]);
  assert.deepEqual(greetings[1]?.said, ['220 at-1', '220 at-2']);
  assert.equal(greetings[1]?.text.length, 1);
});

const REFUSED = ['nosuch.invalid:2525', '127.1:2525', '[::1]'];

test("master refuses names in Postfix's words", { skip: whyNoPostfix() }, async (t) => {
  const said = await Promise.all(
    MAKERS.map(async (maker) => {
      const mail = await startSystemOf(t, maker, { relayPort: 1, stopped: true });
      // Makes the queue's directories.
      mail.run('postfix', ['check']);
      const path = join(mail.config, 'master.cf');
      const postlog = 'postlog unix-dgram n - n - 1 postlogd\n';
      const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
      const env = { ...environment, MAIL_CONFIG: mail.config };
      for (const service of REFUSED) {
        writeFileSync(path, `# first\n${service} inet n - n - - smtpd\n${postlog}`);
        const [program = '', ...args] =
          maker === 'ours'
            ? [`${daemonDirectory(maker)}/master`, '-w']
            : ['/usr/sbin/postfix', '-c', mail.config, 'start'];
        assert.equal(spawnSync(program, args, { env, timeout: PATIENCE_MS }).status, 1, service);
      }
      const fatal = mail
        .log()
        .split('\n')
        .filter((line) => line.includes('fatal: /'));
      return fatal.map((line) => line.replace(/^.*?fatal: /, '').replaceAll(mail.directory, 'DIR'));
    }),
  );
  assert.deepEqual(said[0], said[1]);
});
