/** notify_classes = protocol: postmaster gets the transcript of a session, as Postfix writes it. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { BUILD, startMailSystem } from '../../support/mail-system.ts';
import { type PeerScript, startSmtpPeer } from '../../support/smtp-peer.ts';
import { hasRealSmtp, REAL_SMTP } from './agent.ts';

/** Our daemons, with one client or the other. */
function daemonsWith(t: TestContext, smtp: string): string {
  const folder = join(freshDirectory(t), 'libexec');
  mkdirSync(folder);
  for (const name of readdirSync(join(BUILD, 'libexec'))) {
    const target = name === 'smtp' ? smtp : join(BUILD, 'libexec', name);
    symlinkSync(target, join(folder, name));
  }
  return folder;
}

/** Sends mail to a server that answers as the script says; returns what postmaster reads. */
async function noticeFor(t: TestContext, script: PeerScript, smtp: string, main = {}) {
  const peer = await startSmtpPeer(t, script);
  const office = await startSmtpPeer(t);
  const mail = await startMailSystem(t, {
    main: {
      daemon_directory: daemonsWith(t, smtp),
      notify_classes: 'protocol',
      // Postfix's client would want scache(8) for it.
      smtp_connection_cache_on_demand: 'no',
      error_notice_recipient: 'pm@office.test',
      transport_maps: `inline:{ office.test=smtp:[127.0.0.1]:${office.port}, far.test=smtp:[127.0.0.1]:${peer.port} }`,
      ...main,
    },
  });
  mail.run('sendmail', ['-f', 'ann@lab.test', 'bob@far.test'], 'Subject: secret\n\nwords\n');
  await eventually('the notice', () => office.messages.length > 0);
  const { sender, recipients, content } = office.messages[0] ?? { content: '' };
  const neutral = content
    .replaceAll(String(peer.port), 'PORT')
    .replace(/^Date: .*\r\n|^Received: .*\r\n(?:\t.*\r\n)*/gm, '')
    .replace(/<[0-9.A-Z]+@mx/g, '<ID@mx')
    .replace(/SIZE=\d+/g, 'SIZE=N')
    .split('\r\n');
  return { sender, recipients, headers: neutral.slice(0, 4).sort(), body: neutral.slice(4) };
}

/** Lines that are as long as a line may be, or a little shorter or longer. */
const LONG = [66, 67, 68, 69, 70, 71, 72, 150]
  .map((length) => `501-${'x'.repeat(length - 2)} y`)
  .concat(`501 ${'words and '.repeat(30)}more`)
  .join('\r\n');

const CASES: readonly [what: string, script: PeerScript, main?: Record<string, string>][] = [
  ['a command that is not understood', { RCPT: '501 5.5.4 what?' }],
  ['a greeting of the wrong kind', { CONNECT: '354 hello' }],
  ['lines that do not fit', { RCPT: LONG }],
  ['the old form of From:', { MAIL: '503 5.5.1 no' }, { header_from_format: 'obsolete' }],
];

for (const [what, script, main] of CASES) {
  test(`postmaster gets the transcript: ${what}`, async (t) => {
    const ours = await noticeFor(t, script, join(BUILD, 'libexec/smtp'), main);
    assert.ok(ours.body.includes('Transcript of session follows.'));
    assert.ok(!ours.body.includes('words'));
    if (!hasRealSmtp) return;
    assert.deepEqual(ours, await noticeFor(t, script, REAL_SMTP, main));
  });
}

test('a refusal that is none of our fault is no news', async (t) => {
  const peer = await startSmtpPeer(t, { RCPT: '550 5.1.1 unknown' });
  const mail = await startMailSystem(t, {
    main: {
      notify_classes: 'protocol',
      transport_maps: `inline:{ far.test=smtp:[127.0.0.1]:${peer.port} }`,
    },
  });
  mail.run('sendmail', ['-f', '<>', 'bob@far.test'], 'Subject: x\n\nwords\n');
  await mail.waitForLog(/status=bounced/);
  await mail.waitUntilEmpty();
  assert.doesNotMatch(mail.log(), /double-bounce|postmaster/);
});
