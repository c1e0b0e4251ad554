/** receive_override_options: what smtpd and pickup leave out, Postfix's and ours. */
import assert from 'node:assert/strict';
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { edit, startMilterPeer } from '../../support/milter-peer.ts';
import { readyFiles } from '../../support/ready-file.ts';
import { commandOf, type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { type RecordText, toBytes } from '../../support/records.ts';
import { send } from './dialogue.ts';
import { takeFile } from './queue-records.ts';
import { startServerPairs } from './server-pair.ts';

const OPTIONS = {
  nothing: '',
  checks: 'no_header_body_checks',
  mappings: 'no_address_mappings',
  milters: 'no_milters',
  recipients: 'no_unknown_recipient_checks',
  some: 'no_milters, no_header_body_checks',
  all: 'no_header_body_checks no_address_mappings no_milters no_unknown_recipient_checks',
} as const;

/** What is left out leaves a trace in the queue file. */
const MAIN = {
  header_checks: 'regexp:{{/^X-Secret:/ IGNORE}}',
  body_checks: 'regexp:{{/drop me/ IGNORE}}',
  always_bcc: 'archive@lab.test',
  sender_bcc_maps: 'inline:{{ann@client.test = senders@lab.test}}',
  recipient_bcc_maps: 'inline:{{root@lab.test = recipients@lab.test}}',
  sender_canonical_maps: 'inline:{{ann@client.test = ann@changed.test}}',
  canonical_maps: 'inline:{{other@client.test = other@changed.test}}',
  virtual_alias_maps: 'inline:{{alias@lab.test = one@far.test, two@far.test}}',
  masquerade_domains: 'lab.test',
};
const HEADERS = ['From: other@client.test', 'To: x@sub.lab.test', 'X-Secret: 1', 'Subject: s'];
const CONTENT = [...HEADERS, '', 'drop me', 'keep me'];

const SESSION = [
  'EHLO client.test',
  'MAIL FROM:<ann@client.test>',
  'RCPT TO:<root@lab.test>',
  'RCPT TO:<alias@lab.test>',
  'RCPT TO:<nobody-here@lab.test>',
  'DATA',
  send(`${CONTENT.join('\r\n')}\r\n.\r\n`),
  'QUIT',
];

const DROPPED: readonly RecordText[] = [
  ['T', '1700000000 5'],
  ['A', 'rewrite_context=local'],
  ['S', 'ann@client.test'],
  ['R', 'root@lab.test'],
  ['R', 'alias@lab.test'],
  ['M', ''],
  ...CONTENT.map((line): RecordText => ['N', line]),
  ['X', ''],
  ['E', ''],
];

const skip = whyNoPostfix();
const MAKERS = ['ours', 'real'] as const satisfies readonly Maker[];

/** The first message that cleanup is done with. */
function readyMessage(mail: MailSystem): string | undefined {
  return readyFiles(join(mail.queue, 'incoming'))[0]?.id;
}

/** Every file is another, and so is what each option leaves out. */
function assertDifferent(files: ReadonlyMap<string, readonly string[]>): void {
  const texts = [...files.values()].map((records) => records.join('\n'));
  assert.ok(new Set(texts).size >= 5, `${new Set(texts).size} kinds of queue files`);
}

test('smtpd leaves out what receive_override_options has, as Postfix', { skip }, async (t) => {
  const milter = await startMilterPeer(t, { on: { E: [edit.addHeader('X-Seen', 'yes'), 'c'] } });
  const settings = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, value]) => [
      name,
      { receive_override_options: value, smtpd_milters: `inet:127.0.0.1:${milter.port}` },
    ]),
  );
  const pairs = await startServerPairs(t, settings, { keepsMail: true, common: MAIN });
  const files = new Map<string, readonly string[]>();
  for (const [name, pair] of Object.entries(pairs)) {
    await t.test(name, async () => {
      const found: Record<string, unknown[]> = {};
      for (const maker of MAKERS) {
        const replies = await pair.talk(maker, SESSION);
        const id = /queued as (\w+)/.exec(replies.join('\n'))?.[1];
        assert.ok(id, replies.join('\n'));
        const taken = await takeFile(pair.mail, id);
        // Where a record lies depends on how long our own address is.
        const records = taken.map((record) => record.replace(/^p +[1-9]\d*$/, 'p'));
        if (maker === 'ours') files.set(name, records);
        found[maker] = [replies.map((reply) => reply.replace(id, 'QID')), records];
      }
      assert.deepEqual(found.ours, found.real);
    });
  }
  assertDifferent(files);
});

test('pickup leaves out what receive_override_options has, as Postfix', { skip }, async (t) => {
  const milter = await startMilterPeer(t, { on: { E: [edit.addHeader('X-Seen', 'yes'), 'c'] } });
  const serviceOf = (maker: Maker, name: string) => `${maker}-${name}`;
  const pickups = Object.entries(OPTIONS).flatMap(([name, value]) =>
    MAKERS.map(
      (maker) =>
        `${serviceOf(maker, name)} unix n - n 0 1 ${commandOf('ours', maker, 'pickup')} ` +
        `-o { receive_override_options = ${value} }`,
    ),
  );
  const mail = await startMailSystem(t, {
    main: { ...MAIN, in_flow_delay: '0', non_smtpd_milters: `inet:127.0.0.1:${milter.port}` },
    only: [
      ...pickups,
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'bounce unix - - n - 0 bounce',
      'trace unix - - n - 0 bounce',
    ],
  });
  const files = new Map<string, readonly string[]>();
  for (const name of Object.keys(OPTIONS)) {
    await t.test(name, async () => {
      const found: Record<string, readonly string[]> = {};
      for (const maker of MAKERS) {
        const path = join(mail.queue, 'maildrop', 'ABCDEF12');
        const draft = join(mail.queue, 'draft');
        writeFileSync(draft, toBytes(DROPPED), { mode: 0o600 });
        chmodSync(draft, 0o744);
        renameSync(draft, path);
        mail.run('postkick', ['public', serviceOf(maker, name), 'W']);
        const id = await eventually('a message in incoming', () => readyMessage(mail));
        found[maker] = await takeFile(mail, id);
        await eventually('an empty maildrop', () => mail.ids('maildrop').length === 0);
      }
      files.set(name, found.ours ?? []);
      assert.deepEqual(found.ours, found.real);
    });
  }
  assertDifferent(files);
});
