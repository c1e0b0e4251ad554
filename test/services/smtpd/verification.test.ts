/** Addresses that verify(8) knows: whoever is the server, and whosever verify it asks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMailSystem } from '../../support/mail-system.ts';
import { commandOf, whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers } from './compare.ts';
import { converse, type Step } from './dialogue.ts';
import { EHLO, FROM, QUIT } from './steps.ts';

const polls = { address_verify_poll_delay: '1s', address_verify_poll_count: '90' };
const recipients = (...names: readonly string[]): readonly Step[] => [
  EHLO,
  FROM,
  ...names.map((name) => `RCPT TO:<${name}>`),
  QUIT,
];
const sender = (name: string): readonly Step[] => [
  EHLO,
  `MAIL FROM:<${name}>`,
  'RCPT TO:<root@lab.test>',
  QUIT,
];

const SETTINGS = {
  recipients: {
    main: { ...polls, smtpd_recipient_restrictions: 'reject_unverified_recipient' },
    sessions: {
      good: recipients('root@lab.test', 'someone@far.test'),
      bad: recipients('x@bad.far.test', 'x@coded.far.test'),
      later: recipients('x@later.far.test'),
    },
  },
  'recipients for good': {
    main: {
      ...polls,
      smtpd_recipient_restrictions: 'reject_unverified_recipient',
      unverified_recipient_reject_code: '550',
      unverified_recipient_defer_code: '451',
      unverified_recipient_tempfail_action: 'defer',
    },
    sessions: { all: recipients('x@bad.far.test', 'x@later.far.test', 'root@lab.test') },
  },
  'reasons of its own': {
    main: {
      ...polls,
      smtpd_recipient_restrictions: 'reject_unverified_recipient',
      unverified_recipient_reject_code: '550',
      unverified_recipient_reject_reason: 'not here',
    },
    sessions: { all: recipients('x@bad.far.test', 'x@later.far.test') },
  },
  senders: {
    main: {
      ...polls,
      smtpd_sender_restrictions: 'reject_unverified_sender',
      unverified_sender_reject_code: '550',
    },
    sessions: {
      good: sender('someone@far.test'),
      bad: sender('x@bad.far.test'),
      later: sender('x@later.far.test'),
      nobody: sender(''),
    },
  },
  'senders at once': {
    main: {
      ...polls,
      smtpd_sender_restrictions: 'reject_unverified_sender',
      unverified_sender_defer_code: '451',
      unverified_sender_tempfail_action: 'defer',
      unverified_sender_reject_reason: 'we asked',
    },
    sessions: { bad: sender('x@bad.far.test'), later: sender('x@later.far.test') },
  },
  'senders of the hour': {
    main: {
      ...polls,
      // Its number is the same for as long as this test will run: 2 at the time of writing.
      address_verify_sender_ttl: '1000000000s',
      smtpd_sender_restrictions: 'reject_unverified_sender',
      local_recipient_maps: '',
    },
    sessions: {
      'our own': sender('double-bounce1@lab.test'),
      'our next': sender('double-bounce2@mx.lab.test'),
      'some other': sender('double-bounce9@far.test'),
      'none at all': sender('double-bounce@bad.far.test'),
    },
  },
  'senders with owners': {
    main: {
      smtpd_sender_login_maps: 'inline:{ {ann@client.test = ann} }',
      smtpd_sender_restrictions:
        'reject_sender_login_mismatch, reject_known_sender_login_mismatch, ' +
        'reject_unauthenticated_sender_login_mismatch, reject_authenticated_sender_login_mismatch',
    },
    sessions: { owned: sender('ann@client.test'), free: sender('bob@client.test') },
  },
};

for (const verify of ['ours', 'real'] as const) {
  test(`verification by ${verify} verify(8) is as in Postfix`, { skip: whyNoPostfix() }, (t) =>
    compareServers(t, SETTINGS, { verify }),
  );
}

test('probes are sent from an address of the hour, as Postfix’s', {
  skip: whyNoPostfix(),
}, async (t) => {
  const senders = await Promise.all(
    (['ours', 'real'] as const).map(async (maker) => {
      const mail = await startMailSystem(t, {
        main: {
          ...polls,
          address_verify_sender: 'prober@probe.test',
          address_verify_sender_ttl: '10000000s',
          smtpd_recipient_restrictions: 'reject_unverified_recipient',
        },
        master: [`verify unix - - n - 1 ${commandOf('ours', maker, 'verify')}`],
      });
      await converse({ port: mail.port }, recipients('someone@lab.test'));
      return /from=<(prober[^>]*)>/.exec(await mail.waitForLog(/qmgr\[.*from=<prober/))?.[1];
    }),
  );
  assert.match(senders[0] ?? '', /^prober[0-9A-Z]+@probe\.test$/);
  assert.equal(senders[0], senders[1]);
});

test('verify forgets what has expired', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      ...polls,
      smtpd_recipient_restrictions: 'reject_unverified_recipient',
      address_verify_cache_cleanup_interval: '3s',
      address_verify_negative_expire_time: '1s',
      address_verify_negative_refresh_time: '1s',
    },
  });
  await converse({ port: mail.port }, recipients('root@lab.test', 'ghost@lab.test'));
  await mail.waitForLog(/cache btree:\S+ full cleanup: retained=1 dropped=1 entries/);
  const map = `btree:${mail.directory}/data/verify_cache`;
  assert.match(mail.run('postmap', ['-s', map]).stdout, /^root@lab\.test\t[^\n]*\n$/);
});

test('what verify has found out stays in its map', async (t) => {
  const mail = await startMailSystem(t, {
    main: { ...polls, smtpd_recipient_restrictions: 'reject_unverified_recipient' },
  });
  const play = () => converse({ port: mail.port }, recipients('root@lab.test', 'ghost@lab.test'));
  const replies = await play();
  assert.match(replies[3] ?? '', /^250 2\.1\.5/);
  assert.match(replies[4] ?? '', /^(?:450 4\.1\.1|550 5\.1\.1) /);
  const map = `btree:${mail.directory}/data/verify_cache`;
  const listed = mail.run('postmap', ['-s', map]).stdout;
  assert.match(listed, /^root@lab\.test\t0:0:\d+:/m);
});

test('nobody knows an address when there is no verify', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      smtpd_recipient_restrictions: 'reject_unverified_recipient',
      address_verify_service_name: 'nowhere',
    },
  });
  const replies = await converse({ port: mail.port }, recipients('root@lab.test'));
  assert.equal(
    replies[3],
    '450 4.1.1 <root@lab.test>: Recipient address rejected: address verification problem',
  );
});
