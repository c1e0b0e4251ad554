/**
 * Limits for clients, counted across processes: with Postfix's smtpd and anvil, and ours, in each
 * combination, under either master.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadConfiguration } from '../../../lib/config/configuration.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import {
  commandOf,
  daemonDirectory,
  type Maker,
  whyNoPostfix,
} from '../../support/real-postfix.ts';
import { processesOf } from '../../system/processes.ts';
import { command, type Dialogue, meet } from './dialogue.ts';
import { FROM } from './steps.ts';

const TOO_MANY = '421 4.7.0 mx.lab.test Error: too many connections from 127.0.0.1';

const LINES: readonly (readonly [daemon: string, line: string])[] = [
  ['smtpd', '127.0.0.1:0 inet n - n - - %'],
  ['anvil', 'anvil unix - - n - 1 %'],
  ['proxymap', 'proxymap unix - - n - - %'],
  ['cleanup', 'cleanup unix n - n - 0 %'],
  ['trivial-rewrite', 'rewrite unix - - n - - %'],
  ['postlogd', 'postlog unix-dgram n - n - 1 %'],
];

interface Makers {
  readonly master: Maker;
  readonly smtpd: Maker;
  readonly anvil: Maker;
}

function start(
  t: TestContext,
  makers: Makers,
  main: Readonly<Record<string, string>>,
): Promise<MailSystem> {
  const makerOf = (daemon: string): Maker => {
    if (daemon === 'smtpd' || daemon === 'anvil') return makers[daemon];
    return daemon === 'proxymap' ? 'real' : 'ours';
  };
  return startMailSystem(t, {
    only: LINES.map(([daemon, line]) =>
      line.replace('%', commandOf(makers.master, makerOf(daemon), daemon)),
    ),
    postfix: makers.master === 'ours' ? undefined : '/usr/sbin/postfix',
    main: {
      daemon_directory: daemonDirectory(makers.master),
      command_directory: makers.master === 'ours' ? join(process.cwd(), 'build/bin') : '/usr/sbin',
      smtpd_peername_lookup: 'no',
      smtpd_client_event_limit_exceptions: '',
      ...main,
    },
  });
}

const smtpds = (mail: MailSystem): number[] =>
  processesOf(mail)
    .filter(({ name }) => name === 'smtpd')
    .map(({ pid }) => pid);

/** Waits until a client is let in. */
function admitted(t: TestContext, mail: MailSystem): Promise<Dialogue> {
  return eventually('a place', async () => {
    const client = await meet(t, mail);
    if (client.replies[0]?.startsWith('220')) return client;
    await client.close();
    return undefined;
  });
}

const ARRANGEMENTS: readonly Makers[] = [
  { master: 'ours', smtpd: 'ours', anvil: 'ours' },
  { master: 'ours', smtpd: 'ours', anvil: 'real' },
  { master: 'ours', smtpd: 'real', anvil: 'ours' },
  { master: 'real', smtpd: 'ours', anvil: 'ours' },
  { master: 'real', smtpd: 'ours', anvil: 'real' },
  { master: 'real', smtpd: 'real', anvil: 'ours' },
];

for (const makers of ARRANGEMENTS) {
  const { master, smtpd, anvil } = makers;
  const skip = Object.values(makers).includes('real') && whyNoPostfix();
  test(`${smtpd} smtpd, ${anvil} anvil, ${master} master`, { skip }, async (t) => {
    const mail = await start(t, makers, {
      smtpd_client_connection_count_limit: '3',
      smtpd_client_message_rate_limit: '4',
    });
    const clients = [await meet(t, mail), await meet(t, mail), await meet(t, mail)];
    for (const client of clients) assert.equal(client.replies[0], '220 mx.lab.test ESMTP Postfix');
    assert.equal((await meet(t, mail)).replies[0], TOO_MANY);
    await mail.waitForLog(
      /smtpd\[\d+\]: warning: Connection concurrency limit exceeded: 4 from unknown\[127\.0\.0\.1\] for service 127\.0\.0\.1:\d+$/,
    );
    const [first, second, third] = clients as [Dialogue, Dialogue, Dialogue];
    await command(first, 'QUIT');
    const next = await admitted(t, mail);
    assert.equal((await meet(t, mail)).replies[0], TOO_MANY);
    for (const client of [second, third]) await command(client, 'EHLO c.test', FROM, 'RSET', FROM);
    assert.equal(
      await command(next, 'EHLO c.test', FROM),
      '450 4.7.1 Error: too much mail from 127.0.0.1',
    );
    await mail.waitForLog(
      /smtpd\[\d+\]: warning: Message delivery request rate limit exceeded: 5 from /,
    );
    // Who dies says no goodbye.
    for (const pid of smtpds(mail)) process.kill(pid, 'SIGKILL');
    const after = [await admitted(t, mail), await admitted(t, mail), await admitted(t, mail)];
    assert.equal((await meet(t, mail)).replies[0], TOO_MANY);
    assert.equal(after.length, 3);
  });
}

const ALL_OURS: Makers = { master: 'ours', smtpd: 'ours', anvil: 'ours' };

test('several processes of ours count together', async (t) => {
  const limit = 20;
  const mail = await start(t, ALL_OURS, {
    // Fifteen clients each: twenty need two of them.
    default_process_limit: '45',
    service_processes: '3',
    smtpd_client_connection_count_limit: String(limit),
  });
  const clients = await Promise.all(Array.from({ length: 40 }, () => meet(t, mail)));
  const welcome = clients.filter(({ replies }) => replies[0]?.startsWith('220'));
  assert.equal(welcome.length, limit);
  assert.ok(smtpds(mail).length > 1, 'one process only');
  await Promise.all(clients.map((client) => client.close()));
  await eventually('all of them to be gone', async () => {
    const again = await Promise.all(Array.from({ length: limit }, () => meet(t, mail)));
    const done = again.every(({ replies }) => replies[0]?.startsWith('220'));
    await Promise.all(again.map((client) => client.close()));
    return done;
  });
});

test('without anvil there are no limits, and one warning', async (t) => {
  const mail = await startMailSystem(t, {
    master: ['anvil unix - - n - 1 nothing-of-that-name'],
    main: {
      smtpd_peername_lookup: 'no',
      smtpd_client_event_limit_exceptions: '',
      smtpd_client_message_rate_limit: '1',
      ipc_timeout: '5s',
    },
  });
  for (let count = 0; count < 3; count += 1) {
    const client = await meet(t, mail);
    assert.equal(await command(client, 'EHLO c.test', FROM, 'RSET', FROM), '250 2.1.0 Ok');
  }
  await mail.waitForLog(/smtpd\[\d+\]: warning: /);
  const warnings = mail.log().match(/smtpd\[\d+\]: warning: .*/g) ?? [];
  assert.equal(warnings.length, 1, warnings.join('\n'));
  assert.match(warnings[0] ?? '', / -- going on without limits for clients$/);
});

test('an anvil that is replaced goes on counting', async (t) => {
  const mail = await start(t, ALL_OURS, { smtpd_client_message_rate_limit: '2' });
  const client = await meet(t, mail);
  assert.equal(await command(client, 'EHLO c.test', FROM), '250 2.1.0 Ok');
  mail.run('postfix', ['reload']);
  await mail.waitForLog(/anvil\[\d+\]: statistics: max connection count 1 for /);
  await mail.waitForLog(/anvil\[\d+\]: statistics: max message rate 1\/60s for /);
  assert.equal(await command(client, 'RSET', FROM, 'RSET', FROM), '250 2.1.0 Ok');
  assert.match(await command(client, 'RSET', FROM), /^450 4\.7\.1 /);
  assert.doesNotMatch(mail.log(), /smtpd\[\d+\]: warning: (?!Message delivery)/);
});

test('the client that takes the last slot has less time, and fewer errors: stress', async (t) => {
  const started = (stressedSeconds: number) =>
    startMailSystem(t, {
      main: {
        service_processes: '1',
        smtpd_peername_lookup: 'no',
        smtpd_timeout: `\${stress?{${stressedSeconds}}:{300}}s`,
      },
      only: [
        '127.0.0.1:0 inet n - n - 2 smtpd -o stress=',
        'anvil unix - - n - 1 anvil',
        'postlog unix-dgram n - n - 1 postlogd',
      ],
    });
  const [brief, strict] = await Promise.all([started(1), started(300)]);
  const first = await meet(t, brief);
  const second = await meet(t, brief);
  await second.awaitEnd();
  assert.equal(second.replies.at(-1), '421 4.4.2 mx.lab.test Error: timeout exceeded');
  // What was long ago when the machine was at ease still holds.
  assert.equal(await command(first, 'NOOP'), '250 2.0.0 Ok');

  const early = await meet(t, strict);
  const last = await meet(t, strict);
  await last.play('BOGUS');
  await last.awaitEnd();
  assert.deepEqual(last.replies.slice(1), [
    '500 5.5.2 Error: command not recognized',
    '421 4.7.0 mx.lab.test Error: too many errors',
  ]);
  assert.equal(await command(early, 'BOGUS', 'NOOP'), '250 2.0.0 Ok');
});

test('the deadline for a record of long ago is that for a request', async (t) => {
  const mail = await startMailSystem(t, {
    stopped: true,
    main: { smtpd_per_record_deadline: 'yes' },
  });
  const { stdout } = mail.run('postconf', ['-x', 'smtpd_per_request_deadline']);
  assert.equal(stdout, 'smtpd_per_request_deadline = yes\n');
  const { get } = loadConfiguration({ directory: mail.config });
  assert.equal(get('smtpd_per_request_deadline'), true);
  assert.doesNotMatch(mail.run('postfix', ['check']).stderr, /per_record_deadline/);
});
