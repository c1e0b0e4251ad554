/** AUTH when who checks passwords is slow, wrong or gone: no session hangs, no secret is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { converse, type Step, send } from './dialogue.ts';
import { EHLO, QUIT } from './steps.ts';

const SECRET = Buffer.from('\0joe\0s3cr3t-w0rd').toString('base64');
const HELLO =
  'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t2\nCOOKIE\tx\nDONE\n';

interface AuthPeer {
  readonly path: string;
  /** What clients have said, line by line. */
  readonly lines: string[];
  readonly connections: Socket[];
}

/** A server that says `hello`, and to a line what `answer` says: `undefined` is silence. */
async function startAuthPeer(
  t: TestContext,
  answer: (line: string, socket: Socket) => string | undefined,
  hello: string | undefined = HELLO,
): Promise<AuthPeer> {
  const path = join(freshDirectory(t), 'auth');
  const lines: string[] = [];
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    connections.push(socket);
    socket.setEncoding('utf8').on('error', () => {});
    if (hello === '') socket.end();
    else if (hello !== undefined) socket.write(hello);
    socket.on('data', (text: string) => {
      for (const line of text.split('\n').filter((each) => each !== '')) {
        lines.push(line);
        const reply = /^(?:AUTH|CONT)/.test(line) ? answer(line, socket) : undefined;
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  chmodSync(path, 0o777);
  atEnd(t, () => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return { path, lines, connections };
}

const startSmtpd = (t: TestContext, path: string, main = {}): Promise<MailSystem> =>
  startMailSystem(t, {
    main: {
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: path,
      smtpd_peername_lookup: 'no',
      smtpd_error_sleep_time: '0',
      local_transport: 'discard:',
      mynetworks: '127.0.0.1/32',
      ...main,
    },
    only: [
      '127.0.0.1:0 inet n - n - 2 smtpd -v',
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'anvil unix - - n - 1 anvil',
    ],
  });

const idOf = (line: string) => line.split('\t')[1] ?? '';
const LOST = '454 4.7.0 Temporary authentication failure: Connection lost to authentication server';
const GONE = "454 4.7.0 Temporary authentication failure: Can't connect to authentication server";

/** What a server does, and what the client hears when it tries to log in. */
const TROUBLES: Readonly<
  Record<
    string,
    {
      readonly answer?: (line: string, socket: Socket) => string | undefined;
      readonly hello?: string;
      readonly reply: string | RegExp;
    }
  >
> = {
  'it hangs up': { answer: (_line, socket) => void socket.destroy(), reply: LOST },
  'it answers something else first': {
    answer: (line) => `FOO\tx\nOK\t999\tuser=eve\n\nOK\t${idOf(line)}\tuser=joe\n`,
    reply: '235 2.7.0 Authentication successful',
  },
  'it names nobody': {
    answer: (line) => `OK\t${idOf(line)}\n`,
    reply: '535 5.7.8 Error: authentication failed: (reason unavailable)',
  },
  'its challenge is none': {
    answer: (line) => `CONT\t${idOf(line)}\tnot base64!\n`,
    reply:
      '454 4.7.0 Temporary authentication failure: malformed answer of the authentication server',
  },
  'it never ends a line': { answer: () => 'x'.repeat(100_000), reply: LOST },
  'it gives a reason': {
    answer: (line) => `FAIL\t${idOf(line)}\tuser=joe\treason=no\r421 bye\n`,
    reply: '535 5.7.8 Error: authentication failed: no?421 bye',
  },
  'it is in trouble itself': {
    answer: (line) => `FAIL\t${idOf(line)}\tuser=joe\ttemp\n`,
    reply: '454 4.7.0 Temporary authentication failure: (reason unavailable)',
  },
  'it has another protocol': { hello: 'VERSION\t2\t0\nMECH\tPLAIN\nDONE\n', reply: GONE },
  'it knows no mechanism': { hello: 'VERSION\t1\t1\nDONE\n', reply: GONE },
  'it closes at once': { hello: '', reply: GONE },
  // Ten seconds is what Postfix waits.
  'it never answers': { answer: () => undefined, reply: LOST },
};

test('whatever an authentication server does, the client gets a reply', {
  concurrency: 4,
}, async (t) => {
  await Promise.all(
    Object.entries(TROUBLES).map(([name, { answer, hello, reply }]) =>
      t.test(name, async (each) => {
        const peer = await startAuthPeer(each, answer ?? (() => undefined), hello);
        const mail = await startSmtpd(each, peer.path);
        const replies = await converse({ port: mail.port }, [EHLO, `AUTH PLAIN ${SECRET}`, QUIT]);
        assert.equal(replies.at(-2), reply);
        assert.equal(replies.at(-1), '221 2.0.0 Bye');
        await mail.waitForLog(/disconnect from/);
        assert.doesNotMatch(mail.log(), new RegExp(`${SECRET}|s3cr3t`));
      }),
    ),
  );
});

test('a server that is not there is waited for by nobody, and nothing is refused for good', async (t) => {
  const path = join(freshDirectory(t), 'auth');
  const relay = 'permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination';
  const mail = await startSmtpd(t, path, { smtpd_relay_restrictions: relay });
  const replies = await converse({ port: mail.port, from: '127.0.0.5' }, [
    EHLO,
    `AUTH PLAIN ${SECRET}`,
    'MAIL FROM:<joe@lab.test>',
    'RCPT TO:<ann@far.test>',
    QUIT,
  ]);
  assert.doesNotMatch(replies[1] ?? '', /AUTH/);
  assert.equal(replies[2], GONE);
  assert.equal(
    replies[4],
    '450 4.7.0 <ann@far.test>: Recipient address rejected: Authentication service unavailable',
  );
  await mail.waitForLog(
    /warning: SASL: Connect to Dovecot auth socket '\S+' failed: No such file or directory/,
  );
  await mail.waitForLog(/SASL PLAIN authentication failed: Can't connect .*, sasl_username=\(un/);
});

test('a server that hangs costs time once, and is found again when it goes on', async (t) => {
  const peer = await startAuthPeer(t, () => undefined, 'VERSION\t1\t2\n');
  const mail = await startSmtpd(t, peer.path, { service_processes: '1' });
  const [, first = ''] = await converse({ port: mail.port }, [EHLO, QUIT]);
  assert.doesNotMatch(first, /AUTH/);
  const others = [EHLO, `AUTH PLAIN ${SECRET}`, EHLO, 'MAIL FROM:<joe@lab.test>', QUIT];
  const replies = await converse({ port: mail.port }, others);
  assert.doesNotMatch(replies[1] ?? '', /AUTH/);
  assert.deepEqual(replies.slice(2, 3), [GONE]);
  assert.equal(replies.at(-1), '221 2.0.0 Bye');
  // They did not wait: smtpd still has hopes of its second try.
  await eventually('a second try', () => peer.connections.length === 2);
  const [, again] = peer.connections;
  assert.equal(again?.readyState, 'open');
  again?.write('MECH\tPLAIN\tplaintext\nDONE\n');
  await eventually('the mechanisms', async () => {
    const [, reply = ''] = await converse({ port: mail.port }, [EHLO, QUIT]);
    return /^250-AUTH PLAIN\r$/m.test(reply);
  });
  assert.equal(peer.connections.length, 2);
});

test('an auth service that is not in master.cf is asked for', async (t) => {
  const mail = await startSmtpd(t, 'smtpd', { smtpd_sasl_type: 'posthaste' });
  await converse({ port: mail.port }, [EHLO, QUIT]);
  await mail.waitForLog(/'private\/auth' failed: No such file or directory; the service auth has/);
});

test('a server that was started anew is found again', async (t) => {
  const peer = await startAuthPeer(t, (line) => `OK\t${idOf(line)}\tuser=joe\n`);
  const mail = await startSmtpd(t, peer.path);
  const steps = [EHLO, `AUTH PLAIN ${SECRET}`, QUIT];
  for (const _time of [1, 2, 3]) {
    const replies = await converse({ port: mail.port }, steps);
    assert.match(replies[2] ?? '', /^235/);
    for (const socket of peer.connections) socket.destroy();
  }
  // One smtpd process has one connection, for all of its clients.
  assert.ok(peer.connections.length >= 2);
});

test('clients share a connection, and each gets its own answer', async (t) => {
  const waiting: { line: string; socket: Socket }[] = [];
  const peer = await startAuthPeer(t, (line, socket) => {
    waiting.push({ line, socket });
    if (waiting.length < 2) return undefined;
    for (const each of waiting.reverse()) {
      const name = Buffer.from(/resp=(.*)/.exec(each.line)?.[1] ?? '', 'base64')
        .toString()
        .split('\0')[1];
      const answer = name === 'joe' ? 'OK' : 'FAIL';
      each.socket.write(`${answer}\t${idOf(each.line)}\tuser=${name}\n`);
    }
    return undefined;
  });
  const mail = await startSmtpd(t, peer.path, { service_processes: '1' });
  const eve = Buffer.from('\0eve\0x').toString('base64');
  const [joes, eves] = await Promise.all(
    [SECRET, eve].map((secret) =>
      converse({ port: mail.port }, [EHLO, `AUTH PLAIN ${secret}`, QUIT]),
    ),
  );
  assert.match(joes?.[2] ?? '', /^235/);
  assert.match(eves?.[2] ?? '', /^535/);
  assert.equal(peer.connections.length, 1);
});

/** What clients say that the log must not show: with -v, too. */
const CARELESS: Readonly<Record<string, readonly Step[]>> = {
  'who gives up': [EHLO, 'AUTH LOGIN', '*', QUIT],
  'who goes on and on': [EHLO, 'AUTH LOGIN', `${SECRET}${'A'.repeat(13_000)}`, QUIT],
  'who does not wait': [send(`${EHLO}\r\nAUTH PLAIN ${SECRET}\r\n`, 2), QUIT],
  'who does not wait at all': ['HELO x', send(`AUTH LOGIN\r\n${SECRET}\r\n${SECRET}\r\n`, 2)],
  'who has too much to say': [EHLO, `AUTH PLAIN ${SECRET}${'A'.repeat(5000)}`, QUIT],
  'who sends no base64': [EHLO, `AUTH PLAIN s3cr3t-w0rd!`, QUIT],
  'who leaves': [EHLO, 'AUTH LOGIN', 'half-close', 'await end'],
};

test('what clients say to AUTH stays between them and the server', async (t) => {
  const peer = await startAuthPeer(t, (line) =>
    line.startsWith('AUTH') ? `CONT\t${idOf(line)}\tVXNlcm5hbWU6\n` : `FAIL\t${idOf(line)}\n`,
  );
  const mail = await startSmtpd(t, peer.path);
  for (const [name, steps] of Object.entries(CARELESS)) {
    await t.test(name, async () => {
      const before = mail.log().split('disconnect from').length;
      const replies = await converse({ port: mail.port }, steps);
      if (name.includes('on and on')) {
        assert.equal(replies.at(-2), '500 5.5.6 SASL response limit exceeded');
      }
      await eventually(
        'the end of the session',
        () => mail.log().split('disconnect from').length > before,
      );
      assert.doesNotMatch(mail.log(), new RegExp(`${SECRET.slice(0, 12)}|s3cr3t`));
    });
  }
  const cancelled = () => peer.lines.filter((line) => line.startsWith('CANCEL')).length;
  await eventually('the end of three logins', () => cancelled() >= 3);
});

const FAIL2BAN = '/usr/bin/fail2ban-regex';

test("fail2ban's own filter counts who fails", {
  skip: !existsSync(FAIL2BAN) && 'fail2ban is not installed',
}, async (t) => {
  const peer = await startAuthPeer(t, (line) => `FAIL\t${idOf(line)}\tuser=joe\n`);
  const mail = await startSmtpd(t, peer.path);
  const wrong = `AUTH PLAIN ${SECRET}`;
  await converse({ port: mail.port, from: '127.0.0.5' }, [
    EHLO,
    wrong,
    wrong,
    'AUTH LOGIN x',
    QUIT,
  ]);
  await mail.waitForLog(/disconnect from/);
  const log = join(mail.directory, 'auth.log');
  writeFileSync(log, mail.log());
  const found = spawnSync(FAIL2BAN, [log, 'postfix[mode=auth]', '--out', 'ip'], {
    encoding: 'utf8',
  });
  assert.deepEqual(found.stdout.trim().split('\n'), ['127.0.0.5', '127.0.0.5', '127.0.0.5']);
});

const UNUSABLE: Readonly<Record<string, { main: Readonly<Record<string, string>>; why: RegExp }>> =
  {
    'a type that there is not': {
      main: { smtpd_sasl_type: 'nonesuch' },
      why: /fatal: smtpd_sasl_type = nonesuch: unsupported SASL server implementation: specify /,
    },
    'an option that there is not': {
      main: { smtpd_sasl_security_options: 'noanonymous, nonesuch' },
      why: /fatal: smtpd_sasl_security_options: unknown option "nonesuch": specify some of noplain/,
    },
  };

for (const [name, { main, why }] of Object.entries(UNUSABLE)) {
  test(`${name} keeps smtpd from starting`, async (t) => {
    const mail = await startSmtpd(t, '/nowhere', main);
    await converse({ port: mail.port }, [], { early: true });
    await mail.waitForLog(why);
  });
}

test('who guesses passwords has to connect again', async (t) => {
  const peer = await startAuthPeer(t, (line) => `FAIL\t${idOf(line)}\tuser=joe\n`);
  const mail = await startSmtpd(t, peer.path);
  const wrong = `AUTH PLAIN ${SECRET}`;
  const steps = [EHLO, ...Array.from({ length: 5 }, () => wrong), 'await end'];
  const replies = await converse({ port: mail.port }, steps as Step[]);
  assert.deepEqual(
    replies.slice(2).map((reply) => reply.slice(0, 3)),
    ['535', '535', '535', '535', '421'],
  );
  await mail.waitForLog(/too many errors after AUTH from unknown\[127\.0\.0\.1\]/);
  await mail.waitForLog(/disconnect from \S+ ehlo=1 auth=0\/5 commands=1\/6/);
  assert.equal(mail.log().match(/SASL PLAIN authentication failed/g)?.length, 5);
});
