/**
 * The commands that look at a queue and change it are of either maker: on a queue of ours and on
 * one of real Postfix's they print the same, and do the same.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/condition.ts';
import type { MailSystem } from '../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';
import { MAKERS, NAMES, programsOf, runTool, startSystemOf } from './makers.ts';

const FROM = 'games@lab.test';

interface Scene {
  readonly mail: MailSystem;
  readonly peer: SmtpPeer;
  /** Ids of one message of each kind. */
  readonly deferred: string;
  readonly several: string;
  readonly active: string;
  readonly held: string;
}

/** A running mail system with a deferred, a half done, a held, and a never-ending message. */
async function arrange(t: TestContext, maker: Maker): Promise<Scene> {
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (argument.includes('slow')) return 'silent';
      return argument.includes('later') ? '450 4.7.1 come back later' : '250 2.1.5 Ok';
    },
  });
  const mail = await startSystemOf(t, maker, {
    relayPort: peer.port,
  });
  const queued = async (queue: string, subject: string, to: readonly string[]) => {
    const before = new Set(mail.ids(queue));
    await mail.send({ from: FROM, to, subject, body: 'first line\r\n\r\n..second\r\n third' });
    return await eventually(`"${subject}" in ${queue}`, () =>
      mail.ids(queue).find((id) => !before.has(id) && mail.ids('incoming').length === 0),
    );
  };
  const deferred = await queued('deferred', 'waits', ['later@far.test']);
  const several = await queued('deferred', 'half done', ['later@far.test', 'friend@far.test']);
  const held = await queued('deferred', 'is held', ['later@else.test']);
  assert.equal(runTool(maker, mail, 'postsuper', ['-h', held]).status, 0);
  const active = await queued('active', 'never ends', ['slow@far.test']);
  await peer.waitFor(() => peer.commands.some((command) => command.includes('slow')));
  return { mail, peer, deferred, several, active, held };
}

/** Runs a command of both makers, and checks that they say the same. */
function bothSay(mail: MailSystem, command: string, args: readonly string[]) {
  const [ours, real] = MAKERS.map((maker) => runTool(maker, mail, command, args));
  assert.deepEqual(ours, real, `${command} ${args.join(' ')}`);
  return ours?.stdout ?? '';
}

const CAT_FLAGS = ['-q', '-qb', '-qh', '-qe', '-qbh', '-qeh', '-qo', '-qd'];

for (const maker of MAKERS) {
  test(`either maker's commands work on a queue of ${NAMES[maker]}`, {
    skip: whyNoPostfix(),
  }, async (t) => {
    const scene = await arrange(t, maker);
    const { mail, deferred, several, active, held } = scene;

    const listing = bothSay(mail, 'postqueue', ['-p']);
    assert.match(listing, new RegExp(`^${active}\\* .*\\n +slow@far\\.test$`, 'm'));
    assert.match(listing, new RegExp(`^${held}! .* ${FROM}$`, 'm'));
    assert.match(listing, new RegExp(`^${several} .* ${FROM}\\n.*\\n +later@far\\.test\\n$`, 'm'));
    assert.match(listing, /^-- \d+ Kbytes in 4 Requests\.$/m);
    const objects = bothSay(mail, 'postqueue', ['-j']).trimEnd().split('\n').map(parseObject);
    assert.deepEqual(
      objects.map(({ queue_id, queue_name }) => [queue_id, queue_name]).sort(),
      [
        [deferred, 'deferred'],
        [several, 'deferred'],
        [active, 'active'],
        [held, 'hold'],
      ].sort(),
    );

    for (const id of [deferred, active, held]) bothSay(mail, 'postcat', ['-q', id]);
    for (const flags of CAT_FLAGS) bothSay(mail, 'postcat', [flags, several]);
    assert.match(bothSay(mail, 'postcat', ['-qb', several]), /^first line\n\n\.second\n third\n/m);
    bothSay(mail, 'postcat', ['-q', '0123456789']);

    assert.deepEqual(shape(mail, 'deferred'), [
      ['TOTAL', 2],
      ['far.test', 2],
    ]);
    assert.deepEqual(shape(mail, 'hold'), [
      ['TOTAL', 1],
      ['else.test', 1],
    ]);
    assert.deepEqual(shape(mail, 'active').at(-1), ['far.test', 1]);

    for (const tool of MAKERS) await operate(scene, tool);
    await attempt(scene);
    await listWithoutMaster(scene, maker);
    assert.deepEqual(troubleIn(mail.log(), /accessing queue directly/), []);
  });
}

/** What postsuper says on the terminal when it did something to one message. */
const DONE: readonly (readonly [flag: string, each: string, total: string, queue: string])[] = [
  ['-h', 'placed on hold', 'Placed on hold: 1 message', 'hold'],
  ['-H', 'released from hold', 'Released from hold: 1 message', 'deferred'],
  ['-e', 'expired', 'Force-expired: 1 message', 'deferred'],
  ['-r', 'requeued', 'Requeued: 1 message', ''],
  ['-d', 'removed', 'Deleted: 1 message', ''],
];

/** Each operation of one maker's postsuper, on messages of its own. */
async function operate({ mail }: Scene, tool: Maker): Promise<void> {
  for (const [flag, each, total, queue] of DONE) {
    const before = new Set(mail.ids('deferred'));
    await mail.send({ from: FROM, to: ['later@far.test'], subject: `for ${flag}` });
    const id = await eventually('one more deferred message', () =>
      mail.ids('deferred').find((each) => !before.has(each)),
    );
    if (flag === '-H') runTool(tool, mail, 'postsuper', ['-h', id]);
    const { status, stderr } = runTool(tool, mail, 'postsuper', [flag, id]);
    assert.equal(status, 0, stderr);
    const said = `postsuper: ${id}: ${each}\npostsuper: ${total}\n`;
    assert.equal(stderr, said, `${tool} postsuper ${flag}`);
    if (queue !== '' && flag !== '-e') assert.ok(mail.ids(queue).includes(id));
    if (flag === '-e') {
      const path = join(mail.queue, 'deferred', id.charAt(0), id);
      assert.equal(statSync(path).mode & 0o777, 0o710, `${tool}: mode of ${path}`);
    }
    if (flag === '-d') {
      assert.ok(!existsSync(join(mail.queue, 'defer', id.charAt(0), id)));
    }
    if (flag === '-r') {
      // pickup would look by itself, within a minute.
      runTool(tool, mail, 'postqueue', ['-f']);
      await eventually('the message under another name', () => {
        const now = mail.ids('deferred');
        return !now.includes(id) && now.some((each) => !before.has(each));
      });
    }
    for (const rest of mail.ids('deferred')) {
      if (!before.has(rest)) runTool(tool, mail, 'postsuper', ['-d', rest]);
    }
    runTool(tool, mail, 'postsuper', ['-d', id]);
  }
}

/** postqueue -i asks for one message, -f for all. */
async function attempt({ mail, peer, deferred }: Scene): Promise<void> {
  const attempts = () => peer.commands.filter((line) => /^RCPT TO:<later@far/.test(line)).length;
  for (const tool of MAKERS) {
    for (const [args, more] of [
      [['-i', deferred], 1],
      [['-f'], 2],
    ] as const) {
      const before = attempts();
      const { status, stderr } = runTool(tool, mail, 'postqueue', args);
      assert.deepEqual([status, stderr], [0, ''], `${tool} postqueue ${args.join(' ')}`);
      await peer.waitFor(() => attempts() === before + more);
      await eventually('all deferred again', () => mail.ids('deferred').length === 2);
    }
  }
}

/** With the mail system down, root's postqueue starts a showq of its own: of either maker. */
async function listWithoutMaster({ mail }: Scene, maker: Maker): Promise<void> {
  mail.stop();
  const messages = MAKERS.map((daemons) => {
    for (const [name, value] of Object.entries(programsOf(daemons))) {
      mail.run('postconf', ['-c', mail.config, '-e', `${name} = ${value}`]);
    }
    const { status, stdout, stderr } = runTool(daemons, mail, 'postqueue', ['-j']);
    assert.equal(status, 0);
    assert.match(stderr, /^postqueue: warning: Mail system is down -- accessing queue directly/);
    return stdout.split('\n').sort();
  });
  for (const [name, value] of Object.entries(programsOf(maker))) {
    mail.run('postconf', ['-c', mail.config, '-e', `${name} = ${value}`]);
  }
  assert.equal(messages[0]?.length, 5);
  assert.deepEqual(messages[0], messages[1]);
}

interface ListedObject {
  readonly queue_id: string;
  readonly queue_name: string;
}

function parseObject(line: string): ListedObject {
  return JSON.parse(line) as ListedObject;
}

/** qshape(1): domains, and how many recipients each has. */
function shape(mail: MailSystem, queue: string): (readonly [domain: string, count: number])[] {
  const { status, stdout, stderr } = spawnSync('qshape', ['-c', mail.config, queue], {
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, ''], `qshape ${queue}`);
  return stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .map(([domain = '', count]) => [domain, Number(count)]);
}
