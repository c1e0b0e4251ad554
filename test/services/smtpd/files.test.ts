/** An smtpd that may have few open files: clients wait for each other, and none is dropped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { Dialogue, send } from './dialogue.ts';

const FILES = 150;
/** What is left of them for clients, four for each. */
const CLIENTS = 21;
const skip = spawnSync('prlimit', ['--version']).status === 0 ? false : 'needs prlimit(1)';
const CONVERSATION = [
  'EHLO client.test',
  'MAIL FROM:<ann@client.test>',
  'RCPT TO:<root@lab.test>',
  'DATA',
  send('Subject: test\r\n\r\nhello\r\n.\r\n'),
];

test('clients wait where there are no more files, and none is dropped', { skip }, async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      default_process_limit: String(2 * CLIENTS),
      service_processes: '1',
      smtpd_client_connection_count_limit: '0',
      smtpd_peername_lookup: 'no',
      local_transport: 'discard:',
    },
  });
  const limits = ['--pid', String(mail.masterPid()), `--nofile=${FILES}:${FILES}`];
  assert.equal(spawnSync('prlimit', limits).status, 0);
  const dialogues = Array.from({ length: 3 * CLIENTS }, () => new Dialogue({ port: mail.port }));
  atEnd(t, () => {
    for (const { socket } of dialogues) socket.destroy();
  });
  await mail.waitForLog(
    /smtpd\[\d+\]: warning: this process may have 150 open files: it serves 21 cl/,
  );
  const served: Dialogue[] = [];
  while (served.length < dialogues.length) {
    const greeted = await eventually('greetings', () => {
      const found = dialogues.filter((each) => each.replies.length > 0 && !served.includes(each));
      return found.length > 0 && found;
    });
    for (const dialogue of greeted) {
      for (const step of CONVERSATION) await dialogue.play(step);
      assert.match(dialogue.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued as /);
      assert.equal(await quit(dialogue), '221 2.0.0 Bye');
      served.push(dialogue);
    }
  }
  assert.ok(dialogues.every(({ replies }) => replies[0]?.startsWith('220 ')));
  await mail.waitUntilEmpty();
});

async function quit(dialogue: Dialogue): Promise<string | undefined> {
  await dialogue.play('QUIT');
  await dialogue.close();
  return dialogue.replies.at(-1);
}
