/**
 * Where a message ends: every way to write the end of a line before and after the dot, in every mode of
 * smtpd_forbid_bare_newline. What the client is told, and the messages in the queue, are Postfix's; and
 * nobody gets a second message in, except in the mode that allows it.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readyFiles } from '../../support/ready-file.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { Dialogue, type Door, send } from './dialogue.ts';
import { recordsOf } from './milter-servers.ts';
import { startServerPairs } from './server-pair.ts';

const ENVELOPE = ['EHLO client.test', 'MAIL FROM:<ann@client.test>', 'RCPT TO:<root@lab.test>'];
/** Ends of lines, and what somebody may take for one. */
const ENDS: Readonly<Record<string, string>> = {
  CRLF: '\r\n',
  LF: '\n',
  CR: '\r',
  CRCRLF: '\r\r\n',
  LFCR: '\n\r',
  LFLF: '\n\n',
  'NUL CRLF': '\0\r\n',
  'CR NUL LF': '\r\0\n',
  nothing: '',
};
const SMUGGLED =
  'MAIL FROM:<eve@x.test>\r\nRCPT TO:<root@lab.test>\r\nDATA\r\nDate: x\r\n\r\nsmuggled';
/** Something that has a reply of its own, whatever was before it. */
const MARK = 'VRFY\r\n';
const MARK_REPLY = '501 5.5.4 Syntax: VRFY address [SMTPUTF8]';

const MODES = {
  no: { smtpd_forbid_bare_newline: 'no' },
  normalize: { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '' },
  reject: { smtpd_forbid_bare_newline: 'reject', smtpd_forbid_bare_newline_exclusions: '' },
};

/** How the client was answered, and what came of it. */
interface Outcome {
  readonly replies: readonly string[];
  /** The text of each message. */
  readonly messages: readonly (readonly string[])[];
}

test('a message ends where it ends with Postfix', { skip: whyNoPostfix() }, async (t) => {
  const pairs = await startServerPairs(t, MODES, {
    keepsMail: true,
    common: { smtpd_hard_error_limit: '100', smtpd_data_restrictions: '' },
  });
  for (const mode of Object.keys(MODES) as (keyof typeof MODES)[]) {
    await t.test(mode, async () => {
      const { doors, mail } = pairs[mode];
      for (const [before, first] of Object.entries(ENDS)) {
        for (const [after, second] of Object.entries(ENDS)) {
          const found = {} as Record<Maker, Outcome>;
          for (const maker of ['real', 'ours'] as const) {
            const end = `${first}.${second}`;
            found[maker] = await offer(doors[maker], end, join(mail.queue, 'incoming'));
          }
          const name = `${before}, a dot, ${after}`;
          assert.deepEqual(found.ours, found.real, name);
          const isEnd = first.endsWith('\r\n') && second.startsWith('\r\n');
          if (mode === 'normalize' || mode === 'reject') {
            const count = found.ours.messages.length;
            assert.ok(count <= (isEnd ? 2 : 1), `${count} messages: ${name}`);
          }
        }
      }
    });
  }
});

async function offer(door: Door, end: string, incoming: string): Promise<Outcome> {
  const dialogue = new Dialogue(door);
  try {
    await dialogue.expect(1);
    for (const step of [...ENVELOPE, 'DATA']) await dialogue.play(step);
    const text = `Message-Id: <a@b>\r\nDate: x\r\n\r\nhello${end}${SMUGGLED}\r\n.\r\n`;
    await dialogue.play(send(text + MARK, 0));
    while (!dialogue.hasEnded && !dialogue.replies.at(-1)?.endsWith(MARK_REPLY)) {
      await dialogue.expect(dialogue.replies.length + 1);
    }
  } finally {
    await dialogue.close();
  }
  const replies = dialogue.replies.map((reply) => reply.replace(/queued as \w+/, 'queued as QID'));
  const count = replies.filter((reply) => reply.endsWith('queued as QID')).length;
  const messages = takeMessages(incoming, count);
  return { replies, messages };
}

/** Those that were answered for; what was refused leaves nothing behind. */
function takeMessages(incoming: string, count: number): string[][] {
  const files = readyFiles(incoming);
  assert.equal(files.length, count);
  const messages = files.map(({ path }) =>
    recordsOf(path).filter(
      (record) => /^[NLS] /.test(record) && !/^N (?:Received:|Message-Id:|\t)/.test(record),
    ),
  );
  for (const { path } of files) rmSync(path);
  return messages.sort();
}
