/** Our clients, and the daemons that they were written for: started by a scripted master. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { AnvilClient } from '../../../lib/clients/anvil.ts';
import { BounceClient, type NoticeSubject } from '../../../lib/clients/bounce.ts';
import { CLEANUP_FLAG, CLEANUP_STATUS, CleanupClient } from '../../../lib/clients/cleanup.ts';
import { AgentConnection } from '../../../lib/clients/delivery.ts';
import { FLUSH_STATUS, FlushClient } from '../../../lib/clients/flush.ts';
import { RESOLVE, RewriteClient } from '../../../lib/clients/rewrite.ts';
import { listQueue } from '../../../lib/clients/showq.ts';
import { RECIPIENT_STATUS, VerifyClient } from '../../../lib/clients/verify.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { formatRecord } from '../../../lib/queue/record.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { writeMessage } from '../../support/queue-message.ts';
import { REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import {
  type RunningDaemon,
  type ScriptedMaster,
  scriptedMaster,
} from '../../support/scripted-master.ts';
import { sampleRequest } from '../delivery/sample-request.ts';

const skip = whyNoPostfix();

/** Daemons run as root here: the queue belongs to whoever runs the tests. */
const MAIN = {
  mail_owner: 'postfix',
  mydestination: 'ipc.example.com',
  myorigin: 'ipc.example.com',
};

function start(
  master: ScriptedMaster,
  program: string,
  socket: string,
  ...args: string[]
): RunningDaemon {
  return master.start({ program: `${REAL_DAEMONS}/${program}`, listen: socket, args });
}

/** A client works with paths below the queue directory; tests give it whole ones. */
async function withRewrite(
  t: TestContext,
  action: (client: RewriteClient, daemon: RunningDaemon) => Promise<void>,
): Promise<void> {
  const master = scriptedMaster(t, MAIN);
  const daemon = start(master, 'trivial-rewrite', 'private/rewrite', '-n', 'rewrite');
  const client = new RewriteClient({ socketPath: master.path('private/rewrite') });
  atEnd(t, () => client.close());
  await action(client, daemon);
}

test('rewrite: addresses in standard form', { skip }, (t) =>
  withRewrite(t, async (client) => {
    const cases = { joe: 'joe@ipc.example.com', 'a%b.example': 'a@b.example', '': '', '""': '""' };
    for (const [given, expected] of Object.entries(cases)) {
      assert.equal(await client.rewrite('local', given), expected);
    }
  }),
);

test('rewrite: resolutions', { skip }, (t) =>
  withRewrite(t, async (client) => {
    assert.deepEqual(await client.resolve('', 'x@example.org'), {
      transport: 'smtp',
      nexthop: 'example.org',
      recipient: 'x@example.org',
      flags: RESOLVE.DEFAULT,
    });
    const { flags, transport } = await client.resolve('', 'joe@ipc.example.com');
    assert.deepEqual([flags & RESOLVE.LOCAL, transport], [RESOLVE.LOCAL, 'local']);
    const bad = await client.resolve('', 'a@b@c..');
    assert.equal(bad.flags & RESOLVE.ERROR, RESOLVE.ERROR);
  }),
);

test('rewrite: a hundred questions at the same time', { skip }, (t) =>
  withRewrite(t, async (client) => {
    const users = Array.from({ length: 100 }, (_, at) => `user${at}`);
    const answers = await Promise.all(users.map((user) => client.rewrite('local', user)));
    assert.deepEqual(
      answers,
      users.map((user) => `${user}@ipc.example.com`),
    );
  }),
);

test('rewrite: a daemon that left is asked again where the next one listens', {
  skip,
}, async (t) => {
  const master = scriptedMaster(t, MAIN);
  const client = new RewriteClient({ socketPath: master.path('private/rewrite') });
  atEnd(t, () => client.close());
  for (const user of ['one', 'two']) {
    const daemon = start(master, 'trivial-rewrite', 'private/rewrite', '-n', 'rewrite');
    assert.equal(await client.rewrite('local', user), `${user}@ipc.example.com`);
    daemon.disconnect();
    await daemon.ended;
  }
});

const SUBJECT: NoticeSubject = {
  flags: 0,
  queueName: 'active',
  queueId: '9E3B3220164',
  encoding: '',
  sendOptions: 0,
  sender: 'alice@ipc.example.com',
  envelopeId: '',
  retFlags: 0,
};

test('bounce: an entry in the log, byte by byte as Postfix writes it', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  start(master, 'bounce', 'private/trace', '-z', '-n', 'trace');
  const client = new BounceClient({ names: { trace: 'trace' } });
  atEnd(t, () => client.close());
  atEnd(t, chdirTo(master.queue));
  const [bob] = sampleRequest.recipients;
  assert(bob !== undefined);
  const detail = { ...NO_DETAIL, status: '2.0.0', action: 'delivered', reason: 'quietly' };
  assert.equal(await client.append('trace', SUBJECT.queueId, 0, bob, detail), true);
  assert.equal(
    readFileSync(master.path(`trace/${SUBJECT.queueId}`), 'utf8'),
    '\n<bob@disc.example>: quietly\nrecipient=bob@disc.example\noffset=719\n' +
      'dsn_orig_rcpt=rfc822;Bob@Disc.Example\nnotify_flags=6\nstatus=2.0.0\naction=delivered\n' +
      'reason=quietly\n\n',
  );
  // Without a queue file there is nothing to report on.
  assert.equal(await client.trace('trace', SUBJECT), false);
});

test('cleanup: a message, an aborted one, and a refused one', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  start(master, 'cleanup', 'public/cleanup', '-z');
  start(master, 'trivial-rewrite', 'private/rewrite', '-n', 'rewrite');
  const client = new CleanupClient({ socketPath: master.path('public/cleanup') });
  atEnd(t, () => client.close());
  const records = (received: string) =>
    Buffer.concat(
      [
        ['T', '1795301314 646995'],
        ['A', 'rewrite_context=local'],
        ['S', 'alice@ipc.example.com'],
        ['R', 'bob@disc.example'],
        ['M', ''],
        ['N', received],
        ['N', ''],
        ['N', 'Hello'],
        ['X', ''],
        ['E', ''],
      ].map(([type = '', data = '']) => formatRecord(type, data)),
    );
  const message = await client.open(CLEANUP_FLAG.MAP_OK);
  await message.write(records('Received: by ipc.example.com (Postfix)'));
  assert.deepEqual(await message.finish(), { status: 0, reason: '' });
  const { mode } = statSync(master.path(`incoming/${message.queueId}`));
  assert.equal(mode & 0o700, 0o700);

  const aborted = await client.open(CLEANUP_FLAG.MAP_OK);
  aborted.abort();
  const refused = await client.open(CLEANUP_FLAG.MAP_OK);
  await refused.write(records('Subject: nothing received'));
  assert.equal((await refused.finish()).status, CLEANUP_STATUS.BAD);
  await eventually('only the good one to be left', () => {
    const left = readdirSync(master.path('incoming'));
    return left.length === 1 && left[0] === message.queueId;
  });
});

test('anvil: counts what a client does', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  start(master, 'anvil', 'private/anvil', '-l');
  const client = new AnvilClient({ socketPath: master.path('private/anvil') });
  atEnd(t, () => client.close());
  const ident = 'smtpd:192.0.2.1';
  const visit = client.visit(ident);
  const counts = await visit.connect();
  assert.deepEqual([counts?.count, counts?.rate], [1, 1]);
  assert.equal(await visit.count('message'), 1);
  assert.equal(await visit.count('message'), 2);
  assert.equal(await visit.count('recipient'), 1);
  assert.equal(await visit.count('newtls'), 1);
  assert.equal(await visit.newTlsRate(), 1);
  const known = await client.lookup(ident);
  assert.deepEqual([known?.mail, known?.rcpt, known?.auth], [2, 1, 0]);
  await visit.disconnect();
  assert.equal((await client.lookup(ident))?.count, 0);
});

test('anvil: several clients of one process', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  start(master, 'anvil', 'private/anvil', '-l');
  const client = new AnvilClient({ socketPath: master.path('private/anvil') });
  atEnd(t, () => client.close());
  const ident = 'smtpd:192.0.2.1';
  const visits = [client.visit(ident), client.visit(ident), client.visit('smtpd:192.0.2.2')];
  for (const visit of visits) await visit.connect();
  assert.equal((await client.lookup(ident))?.count, 2);
  await visits[0]?.disconnect();
  assert.equal((await client.lookup(ident))?.count, 1);
  assert.equal((await client.visit(ident).connect())?.count, 2);
});

test('verify: what was reported is known', { skip }, async (t) => {
  const map = 'internal:verify';
  const master = scriptedMaster(t, { ...MAIN, address_verify_map: map, data_directory: '/tmp' });
  start(master, 'verify', 'private/verify', '-l');
  const client = new VerifyClient({ socketPath: master.path('private/verify') });
  atEnd(t, () => client.close());
  assert.equal(await client.update('bob@example.org', RECIPIENT_STATUS.BOUNCE, 'gone'), true);
  assert.deepEqual(await client.query('bob@example.org'), {
    status: 0,
    recipientStatus: RECIPIENT_STATUS.BOUNCE,
    reason: 'gone',
  });
});

test('flush: sites that are allowed, and others', { skip }, async (t) => {
  const master = scriptedMaster(t, { ...MAIN, fast_flush_domains: 'example.com' });
  start(master, 'flush', 'public/flush', '-z');
  const client = new FlushClient({ socketPath: master.path('public/flush') });
  atEnd(t, () => client.close());
  assert.equal(await client.add('example.com', SUBJECT.queueId), FLUSH_STATUS.OK);
  assert.equal(await client.add('example.org', SUBJECT.queueId), FLUSH_STATUS.DENY);
  assert.equal(readFileSync(master.path('flush/example_com'), 'latin1').trimEnd(), SUBJECT.queueId);
});

test('showq: an empty queue, and a message', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  start(master, 'showq', 'public/showq');
  const list = async () => {
    const messages = [];
    for await (const message of listQueue(master.path('public/showq'), PATIENCE_MS))
      messages.push(message);
    return messages;
  };
  assert.deepEqual(await list(), []);
  writeMessage(master.path('active/9E3B3220164'), ['bob@a.example', '"odd user"@b.example']);
  writeMessage(master.path('hold/9E3B3220165'), ['carol@a.example'], 0o710);
  const messages = await list();
  assert.deepEqual(
    messages.map(({ queueName, queueId, arrivalTime, sender, forcedExpire, recipients }) => [
      queueName,
      queueId,
      arrivalTime,
      sender,
      forcedExpire,
      recipients.length,
    ]),
    [
      ['active', '9E3B3220164', 1795301314, 'alice@ipc.example.com', false, 2],
      ['hold', '9E3B3220165', 1795301314, 'alice@ipc.example.com', true, 1],
    ],
  );
});

test('a delivery agent: discard, as qmgr asks it', { skip }, async (t) => {
  const master = scriptedMaster(t, MAIN);
  const daemon = start(master, 'discard', 'private/discard');
  const message = writeMessage(master.path('active/9E3B3220164'), [
    'bob@a.example',
    'eve@b.example',
  ]);
  const agent = await AgentConnection.connect(master.path('private/discard'), PATIENCE_MS);
  const { recipients } = message;
  assert.deepEqual(await agent.deliver({ ...sampleRequest, recipients }), {
    detail: NO_DETAIL,
    status: 0,
  });
  assert.equal(agent.reusable, false, 'the real one does not keep connections');
  assert.equal(message.marks(), 'DD');
  agent.close();
  await eventually('the agent to be free', () => daemon.reports.at(-1) === 1);
});

/** Clients find services below the working directory. @returns how to go back */
function chdirTo(directory: string): () => void {
  const before = process.cwd();
  process.chdir(directory);
  return () => process.chdir(before);
}
