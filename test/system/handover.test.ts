/**
 * A queue changes hands: what one maker's mail system left, stopped at work, the other maker's
 * delivers after `postfix start` on the same directory. Each message arrives exactly once, what
 * is held stays held, and neither maker's postsuper finds anything to repair.
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import type { MailSystem } from '../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';
import { MAKERS, NAMES, otherThan, programsOf, runTool, startSystemOf } from './makers.ts';

const FROM = 'games@lab.test';
const MESSAGE_QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
const ALL_QUEUES = [...MESSAGE_QUEUES, 'corrupt', 'bounce', 'defer', 'trace'];

for (const before of MAKERS) {
  const after = otherThan(before);
  const title = `what ${NAMES[before]} left in the queue is delivered by ${NAMES[after]}`;
  test(title, { skip: whyNoPostfix() }, async (t) => {
    const { mail, peer, held, accept } = await leaveMail(t, before);
    const left = filesOf(mail);
    for (const maker of MAKERS) {
      const { status, stderr } = runTool(maker, mail, 'postsuper');
      assert.deepEqual([status, stderr], [0, ''], `${maker} postsuper`);
      assert.deepEqual(filesOf(mail), left, `${maker} postsuper`);
    }
    for (const [name, value] of Object.entries(programsOf(after))) {
      mail.run('postconf', ['-c', mail.config, '-e', `${name} = ${value}`]);
    }
    accept();
    const stop = () => runTool(after, mail, 'postfix', ['stop']);
    atEnd(t, stop);
    const started = runTool(after, mail, 'postfix', ['start']);
    assert.equal(started.status, 0, started.stderr);
    assert.equal(runTool(after, mail, 'postqueue', ['-f']).status, 0);

    const arrived = () => peer.messages.flatMap(deliveriesOf).sort();
    const expected = [
      'half done to friend@far.test',
      'half done to later@far.test',
      'half failed to slow@far.test',
      'left by ours while down to friend@far.test',
      'left by real while down to friend@far.test',
      'waits to later@far.test',
    ];
    await eventually('all of it at the peer', () => arrived().length >= expected.length).catch(
      () => {},
    );
    assert.deepEqual(arrived(), expected);
    const inbox = () => mail.maildir('mail/games');
    const [report = ''] = await eventually('the report', () => inbox().length > 0 && inbox());
    assert.match(report, /^Final-Recipient: rfc822; gone@far\.test$/m);
    assert.match(report, /^Subject: half failed$/m);
    assert.doesNotMatch(report, /slow@far/);
    await mail.waitUntilEmpty();
    assert.deepEqual(mail.ids('hold'), [held]);

    runTool(after, mail, 'postsuper', ['-H', held]);
    runTool(after, mail, 'postqueue', ['-f']);
    await mail.waitUntilEmpty();
    assert.deepEqual(arrived(), [...expected, 'was held to later@else.test']);
    assert.equal(inbox().length, 1);
    assert.equal(stop().status, 0);
    assert.deepEqual(Object.values(filesOf(mail)).flat(), []);
    assert.deepEqual(troubleIn(mail.log()), []);
  });
}

interface Leftovers {
  readonly mail: MailSystem;
  readonly peer: SmtpPeer;
  readonly held: string;
  /** From now on the peer takes all but what is for nobody. */
  accept(): void;
}

/** One maker's mail system, stopped with mail in every state. */
async function leaveMail(t: TestContext, maker: Maker): Promise<Leftovers> {
  let accepting = false;
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (argument.includes('gone')) return '550 5.1.1 nobody of that name';
      if (accepting) return '250 2.1.5 Ok';
      if (argument.includes('slow')) return 'silent';
      return argument.includes('later') ? '450 4.7.1 come back later' : '250 2.1.5 Ok';
    },
  });
  const mail = await startSystemOf(t, maker, { relayPort: peer.port });
  const send = (subject: string, ...to: string[]) => mail.send({ from: FROM, to, subject });
  await send('was held', 'later@else.test');
  const [held = ''] = await eventually('a deferred message', () => {
    const ids = mail.ids('deferred');
    return ids.length === 1 && mail.ids('active').length === 0 && ids;
  });
  runTool(maker, mail, 'postsuper', ['-h', held]);
  await send('waits', 'later@far.test');
  await send('half done', 'later@far.test', 'friend@far.test');
  await eventually('two deferred messages', () => mail.ids('deferred').length === 2);
  // The report on the first waits for the second: its reason is in bounce/.
  await send('half failed', 'gone@far.test', 'slow@far.test');
  await eventually('a bounce log', () => mail.ids('bounce').length === 1);
  mail.stop();
  for (const sendmail of MAKERS) {
    const input = `Subject: left by ${sendmail} while down\n\nhello\n`;
    const args = ['-f', FROM, 'friend@far.test'];
    const { status, stderr } = runTool(sendmail, mail, 'sendmail', args, input);
    assert.equal(status, 0, stderr);
  }
  assert.deepEqual(
    MESSAGE_QUEUES.map((queue) => mail.ids(queue).length),
    [2, 0, 1, 2, 1],
  );
  return {
    mail,
    peer,
    held,
    accept() {
      accepting = true;
    },
  };
}

/** `subject to recipient`, for each recipient. */
function deliveriesOf({ content, recipients }: SmtpPeer['messages'][number]): string[] {
  const subject = /^Subject: (.*)\r$/m.exec(content)?.[1];
  return recipients.map((recipient) => `${subject} to ${recipient}`);
}

/** Every file of the queue, with what a repair would change. */
function filesOf(mail: MailSystem): Record<string, string[]> {
  return Object.fromEntries(
    ALL_QUEUES.map((queue) => {
      const folder = join(mail.queue, queue);
      const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
      const files = names.filter((name) => statSync(join(folder, name)).isFile()).sort();
      const described = files.map((name) => {
        const { ino, mode, size } = statSync(join(folder, name));
        return `${name} ${ino} ${mode.toString(8)} ${size}`;
      });
      return [queue, described];
    }),
  );
}
