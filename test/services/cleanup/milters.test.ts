/**
 * non_smtpd_milters: the same record streams through the real cleanup and through ours, with the same
 * milter. What it is told, the queue file record by record, the reply and the log have to be the same.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { edit, startMilterPeer } from '../../support/milter-peer.ts';
import type { RecordText } from '../../support/records.ts';
import { noRealPostfix, startRealPostfix } from './real-postfix.ts';
import { comparable, message, type Submission, submit } from './submission.ts';

/** As pickup has them; with a notice to the sender left to us, or not. */
const PICKUP = 627;
const NO_BOUNCE = 626;
const SMTPD_WITH_MILTERS = 242;

const envelope = (...attributes: string[]): RecordText[] =>
  attributes.map((attribute) => ['A', attribute]);

const CLIENT = envelope(
  'client_name=c.test',
  'reverse_client_name=r.test',
  'client_address=192.0.2.1',
  'client_address_type=2',
  'client_port=77',
  'server_address=192.0.2.2',
  'helo_name=h.test',
  'log_helo_name=h.test',
  'log_protocol_name=QMQP',
);

function records(
  before: RecordText[],
  content: string[],
  extracted: RecordText[] = [],
): Submission {
  return {
    flags: PICKUP,
    records: [
      ['T', '1700000000 5'],
      ...before,
      ['M', ''],
      ['N', 'Received: x'],
      ...content.map((line): RecordText => ['N', line]),
      ['X', ''],
      ...extracted,
      ['E', ''],
    ],
  };
}

/** Messages, and what the milter answers at which event. */
interface Case {
  readonly submission: Submission;
  readonly on?: Readonly<Record<string, readonly string[]>>;
}

const plain = (sender: string, flags = NO_BOUNCE): Submission =>
  message({ flags, sender: `${sender}@x.test`, content: ['Subject: x', '', 'body'] });

const edited = (name: string, ...replies: string[]): Case => ({
  submission: plain(name),
  on: { E: [...replies, 'c'] },
});

const answered = (event: string, ...replies: string[]): Case => ({
  submission: plain('ann'),
  on: { [event]: replies },
});

const header = (value: string) => edit.addHeader('X-A', value);

const CASES: Readonly<Record<string, Case>> = {
  'local mail': {
    submission: message({
      flags: PICKUP,
      recipients: ['bob@ok.test', 'joe', 'a b@c.test'],
      content: ['Subject: x', '', 'body'],
    }),
  },
  'as from smtpd': { submission: plain('ann', SMTPD_WITH_MILTERS) },
  'short headers': {
    submission: message({
      flags: PICKUP,
      sender: 'a',
      content: ['A: x', 'B:', ' y', 'Message-Id: <1@x>', 'From: somebody@x.test', '', ''],
    }),
  },
  'client told too late': {
    submission: message({ flags: PICKUP, content: ['S: x', '', 'b'], envelope: CLIENT }),
  },
  'a client': {
    submission: records([...CLIENT, ['S', 'me@x.test'], ['R', 'you@y.test']], ['A: b', '', 'b']),
  },
  'a client of whom too little is known': {
    submission: records(
      [...CLIENT.slice(0, 3), ['S', 'me@x.test'], ['R', 'you@y.test']],
      ['A: b', '', 'b'],
    ),
  },
  'an IPv6 client, the null sender': {
    submission: records(
      [
        ...envelope(
          'client_name=c.test',
          'client_address=2001:db8::1',
          'client_address_type=10',
          'sasl_method=plain',
          'sasl_username=ann',
        ),
        ['S', ''],
        ['R', 'you@y.test'],
      ],
      ['', 'b'],
    ),
  },
  'recipients behind the content': {
    submission: records(
      [['S', 'somebody@y.test']],
      ['To: q@y.test', '', 'b'],
      [
        ['R', 'q@y.test'],
        ['R', 'r@y.test'],
      ],
    ),
    on: { E: [edit.addRecipient('<s@y.test>'), edit.deleteRecipient('<q@y.test>'), 'c'] },
  },
  'not to be filtered': {
    submission: message({ flags: 32, content: ['Subject: x', '', 'body'] }),
  },
  'on hold': { submission: plain('ann', PICKUP | 4) },
  'no body': { submission: message({ flags: PICKUP, content: ['Subject: x'] }) },
  'a message of parts': {
    submission: message({
      flags: PICKUP,
      content: [
        'MIME-Version: 1.0',
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'A: b',
        '',
        'x',
        '--b--',
      ],
    }),
  },
  'rejected when it connects': answered('C', 'r'),
  'rejected at HELO': answered('H', 't'),
  'rejected at MAIL': answered('M', 'r'),
  'a recipient rejected': answered('R', 'r'),
  'discarded at DATA': answered('T', 'd'),
  'rejected at the end': answered('E', 'r'),
  'accepted at MAIL': answered('M', 'a'),
  'rejected by a rule': edited('ann', header('reject it'), edit.addHeader('X-B', 'later')),
  'rejected by a rule without words': edited('ann', header('noreject')),
  'held by a rule': edited('ann', header('hold it')),
  'discarded by a rule': edited('ann', edit.changeHeader(1, 'Subject', 'discard it')),
  'filtered by two rules': edited('ann', header('filter it'), header('filter two')),
  'redirected by a rule': edited('ann', header('redirect it')),
  'copied by a rule': edited('ann', header('bcc it')),
  'ignored by a rule': edited(
    'ann',
    header('ignore it'),
    edit.changeHeader(1, 'Subject', 'ignore'),
  ),
  'stripped by a rule': edited('ann', header('strip it')),
  'replaced by a rule': edited(
    'ann',
    header('replace it'),
    edit.changeHeader(1, 'Subject', 'replace'),
  ),
  'prepended by a rule': edited('ann', header('prepend it')),
  'rules that only tell': edited('ann', header('warn'), header('inform'), header('dunno')),
  'a rule that is none': edited('ann', header('nonsense'), header('tempfail')),
};

const RULES = [
  '/reject it/ REJECT go away',
  '/noreject/ REJECT',
  '/tempfail/ DEFER not now',
  '/hold it/ HOLD wait',
  '/discard it/ DISCARD gone',
  '/filter it/ FILTER smtp:[127.0.0.1]:1',
  '/filter two/ FILTER smtp:[127.0.0.1]:2',
  '/redirect it/ REDIRECT else@where.test',
  '/bcc it/ BCC copy@where.test',
  '/ignore/ IGNORE',
  '/strip it/ STRIP off',
  '/replace/ REPLACE X-R: replaced',
  '/prepend it/ PREPEND X-P: p',
  '/warn/ WARN beware',
  '/inform/ INFO fyi',
  '/dunno/ DUNNO',
  '/nonsense/ WHATEVER',
];

test('milters of mail that did not come by SMTP', { skip: noRealPostfix }, async (t) => {
  let current: Case = { submission: plain('none') };
  const events = ['C', 'H', 'M', 'R', 'T', 'E'];
  const on = Object.fromEntries(
    events.map((event) => [event, () => current.on?.[event] ?? ['c']] as const),
  );
  const peer = await startMilterPeer(t, { on });
  const postfix = await startRealPostfix(t, {
    main: {
      non_smtpd_milters: `inet:127.0.0.1:${peer.port}`,
      milter_header_checks: 'regexp:$config_directory/rules',
      milter_connect_macros:
        'j _ v {client_addr} {client_name} {client_port} {client_ptr} {daemon_addr} {daemon_port} {daemon_name} {auth_type} {auth_authen} x',
      queue_journal_enable: 'no',
      milter_macro_defaults: 'x=1, {if_name}=lo',
    },
    files: { rules: RULES.map((rule) => `${rule}\n`).join('') },
    master: ['ours unix n - n - 0 ours-cleanup'],
  });
  const play = async (service: string, { submission }: Case) => {
    const seen = postfix.log().length;
    const outcome = await submit(postfix.queue, service, submission);
    const mark = await submit(postfix.queue, service, MARK);
    await eventually('log lines', () => postfix.log().includes(`${mark.queueId}: message-id=`));
    const neutral = (text: string) =>
      text
        .replaceAll(outcome.queueId, 'QID')
        .replace(/<\d{14}\.QID@/g, '<TIME.QID@')
        .replace(/\b[0-9A-F]{10,}(?=[@:|])/g, 'ID')
        .replace(/delays?=[\d./]+/g, 'delay=N')
        .replace(/<\d{14}\.ID@/g, '<TIME.ID@');
    const [session = []] = await peer.takeSessions();
    return {
      outcome: comparable(outcome),
      session: session.map(neutral),
      log: postfix
        .log()
        .slice(seen)
        .split('\n')
        .filter((line) => /\/(?:ours-)?cleanup\[\d+\]: /.test(line))
        .filter((line) => !line.includes(mark.queueId) && !line.includes('public/qmgr'))
        .map((line) => neutral(line.replace(/^.*?\/(?:ours-)?cleanup\[\d+\]: /, ''))),
    };
  };
  for (const [name, one] of Object.entries(CASES)) {
    await t.test(name, async () => {
      current = one;
      const theirs = await play('cleanup', one);
      assert.deepEqual(await play('ours', one), theirs);
    });
  }
});

const MARK = message({ flags: 2, content: ['Message-Id: <mark@x.test>', '', 'mark'] });
