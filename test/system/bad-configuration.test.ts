/**
 * What is wrong in main.cf or master.cf is said with its file and line, before anything is started
 * or changed: by `postfix check`, `start` and `reload`.
 */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { troubleIn } from './log-trouble.ts';
import { processesOf } from './processes.ts';

interface Mistake {
  readonly file: 'main.cf' | 'master.cf';
  /** Added at the end; the message names the line of this text's first character. */
  readonly text: string;
  readonly complaint: RegExp;
}

const MISTAKES: readonly Mistake[] = [
  { file: 'main.cf', text: 'no equals sign here', complaint: /missing '=' after attribute name/ },
  { file: 'main.cf', text: '= value', complaint: /missing attribute name/ },
  { file: 'main.cf', text: 'message_size_limit = big', complaint: /message_size_limit = big/ },
  { file: 'main.cf', text: 'default_process_limit = -1', complaint: /default_process_limit/ },
  { file: 'main.cf', text: 'queue_run_delay = 5 parsecs', complaint: /queue_run_delay/ },
  { file: 'main.cf', text: 'disable_vrfy_command = maybe', complaint: /disable_vrfy_command/ },
  { file: 'main.cf', text: 'myhostname = -bad..name', complaint: /myhostname/ },
  { file: 'main.cf', text: 'mail_owner = nosuchuser', complaint: /mail_owner.*nosuchuser/ },
  { file: 'main.cf', text: 'setgid_group = nosuchgroup', complaint: /setgid_group.*nosuchgroup/ },
  { file: 'main.cf', text: 'inet_interfaces = no.such.host.test', complaint: /inet_interfaces/ },
  { file: 'main.cf', text: 'inet_protocols = ipv5', complaint: /ipv5/ },
  { file: 'main.cf', text: 'smtp_helo_name = $smtp_helo_name', complaint: /smtp_helo_name/ },
  { file: 'main.cf', text: 'relayhost = ${mydomain', complaint: /relayhost/ },
  { file: 'master.cf', text: 'smtp inet n - n - smtpd', complaint: /missing|bad/ },
  { file: 'master.cf', text: 'other tcp n - n - - smtpd', complaint: /tcp/ },
  { file: 'master.cf', text: 'other unix perhaps - n - - smtp', complaint: /perhaps/ },
  { file: 'master.cf', text: 'other unix - - n often - smtp', complaint: /often/ },
  { file: 'master.cf', text: 'other unix - - n - many smtp', complaint: /many/ },
  { file: 'master.cf', text: '127.0.0.1:1 inet y - n - - smtpd', complaint: /cannot be private/ },
  { file: 'master.cf', text: '127.0.0.1:1 inet - - n - - smtpd', complaint: /cannot be private/ },
  { file: 'master.cf', text: 'nosuch:port inet n - n - - smtpd', complaint: /nosuch|port/ },
  { file: 'master.cf', text: 'other unix - - n - - smtp -o', complaint: /other|-o/ },
  {
    file: 'master.cf',
    text: 'other unix - - n - - smtp -o smtp_helo_timeout=never',
    complaint: /smtp_helo_timeout.*never/,
  },
  { file: 'master.cf', text: 'other unix - - n - - smtp { -o', complaint: /brace|\{/ },
];

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';

test('mistakes in the configuration are said before anything is done', { skip }, async (t) => {
  const down = await startMailSystem(t, { stopped: true });
  down.run('postfix', ['check']);
  const running = await startMailSystem(t, { main: { default_transport: 'discard' } });
  const master = running.masterPid();
  // Who is up by now has read the right files.
  assert.equal(running.run('sendmail', ['-i', 'nobody@far.test']).status, 0);
  await running.waitUntilEmpty();
  for (const mistake of MISTAKES) {
    await t.test(`${mistake.file}: ${mistake.text}`, () => {
      complains(down, 'check', mistake);
      complains(down, 'start', mistake);
      assert.deepEqual(processesOf(down), []);
      complains(running, 'reload', mistake);
    });
  }
  assert.equal(running.masterPid(), master);
  await running.send({ from: 'root@lab.test', to: ['nobody@far.test'] });
  await running.waitUntilEmpty();
  assert.doesNotMatch(running.log(), /postfix\/master.* (?:reload|fatal)/);
  assert.deepEqual(troubleIn(running.log(), /postfix\/postfix(?:-script)?\[/), []);
});

/** Makes the mistake, asks for `verb`, and looks at what is said; then mends it. */
function complains(mail: MailSystem, verb: string, { file, text, complaint }: Mistake): void {
  const path = join(mail.config, file);
  const good = readFileSync(path, 'utf8');
  appendFileSync(path, `${text}\n`);
  try {
    const { status, stderr } = mail.run('postfix', [verb]);
    const line = good.split('\n').length;
    assert.notEqual(status, 0, `postfix ${verb}`);
    const said = stderr.split('\n').find((each) => /: fatal: /.test(each)) ?? '';
    assert.match(said, complaint, `postfix ${verb}: ${stderr}`);
    assert.match(said, new RegExp(`${file}.*line ${line}\\b`), `postfix ${verb}: ${stderr}`);
  } finally {
    writeFileSync(path, good);
  }
}
