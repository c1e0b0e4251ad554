import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentConnection, type DeliveryReply } from '../../../lib/clients/delivery.ts';
import type { Recipient } from '../../../lib/delivery/recipient.ts';
import { DELIVERY_FLAG, receiveRequest } from '../../../lib/delivery/request.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { NOTIFY } from '../../../lib/dsn/notify.ts';
import { announcement, formatAttributes } from '../../../lib/ipc/attributes.ts';
import { PROTOCOLS } from '../../../lib/ipc/protocols.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { writeMessage } from '../../support/queue-message.ts';
import { scriptedService } from '../../support/scripted-service.ts';
import { sampleRequest } from './sample-request.ts';
import { deliver, SOCKET, startScene } from './scene.ts';

const GOOD = { detail: NO_DETAIL, status: 0 };
const KEPT = { detail: NO_DETAIL, status: -1 };
const ID = '9E3B3220164';

interface Case {
  readonly what: string;
  readonly to: readonly (string | Partial<Recipient>)[];
  readonly flags?: number;
  readonly main?: Record<string, string>;
  readonly status?: number;
  readonly reply?: DeliveryReply;
  readonly marks: string;
  readonly logged: readonly string[];
  readonly requests?: readonly string[];
}

const { MTA_VRFY, USR_VRFY, RECORD, REC_DLY_SENT } = DELIVERY_FLAG;
const CASES: readonly Case[] = [
  {
    what: 'sent: one line and a mark, and nobody else is asked',
    to: ['sent@a.example', { address: 'relayed@b.example', original: 'Alias@b.example' }],
    marks: 'DD',
    logged: [
      `${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=sent (quietly)`,
      `${ID}: to=<relayed@b.example>, orig_to=<Alias@b.example>, relay=mx.example.net[192.0.2.7]:25, conn_use=2, dsn=2.1.5, status=sent (250 2.1.5 Ok)`,
    ],
  },
  {
    what: 'sent to a content filter: no mark',
    to: ['sent@a.example'],
    flags: 2,
    marks: 'R',
    logged: [`${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=sent (quietly)`],
  },
  {
    what: 'sent, with a report of the success',
    to: [{ address: 'relayed@b.example', notify: NOTIFY.success }],
    marks: 'D',
    logged: [
      `${ID}: to=<relayed@b.example>, relay=mx.example.net[192.0.2.7]:25, conn_use=2, dsn=2.1.5, status=sent (250 2.1.5 Ok)`,
    ],
    requests: [
      'trace 0 0 relayed@b.example 2.1.5 relayed delivery via mx.example.net[192.0.2.7]:25: 250 2.1.5 Ok',
    ],
  },
  {
    what: 'sent with sendmail -v',
    to: ['sent@a.example'],
    flags: 3 | RECORD,
    marks: 'D',
    logged: [`${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=sent (quietly)`],
    requests: ['trace 0 1024 sent@a.example 2.0.0 delivered quietly'],
  },
  {
    what: 'sent after a notice of delay, to those who want to know',
    to: ['sent@a.example', { address: 'sent@b.example', notify: NOTIFY.never }],
    flags: 3 | REC_DLY_SENT,
    marks: 'DD',
    logged: [
      `${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=sent (quietly)`,
      `${ID}: to=<sent@b.example>, relay=none, dsn=2.0.0, status=sent (quietly)`,
    ],
    requests: ['trace 0 8192 sent@a.example 2.0.0 delivered quietly'],
  },
  {
    what: 'sent, but the report fails: deferred, and not marked',
    to: [{ address: 'sent@a.example', notify: NOTIFY.success }],
    status: -1,
    reply: KEPT,
    marks: 'R',
    logged: [
      `${ID}: to=<sent@a.example>, relay=none, dsn=4.3.0, status=deferred (${ID}: trace service failed)`,
    ],
    requests: [
      'trace 0 0 sent@a.example 2.0.0 delivered quietly',
      `defer 0 0 sent@a.example 4.3.0 delayed ${ID}: trace service failed`,
    ],
  },
  {
    what: 'deferred',
    to: ['deferred@a.example', 'sent@a.example'],
    reply: KEPT,
    marks: 'RD',
    logged: [
      `${ID}: to=<deferred@a.example>, relay=none, dsn=4.2.1, status=deferred (not today)`,
      `${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=sent (quietly)`,
    ],
    requests: ['defer 0 0 deferred@a.example 4.2.1 delayed not today'],
  },
  {
    what: 'deferred for a site of fast_flush_domains',
    to: ['deferred@a.example', 'deferred@b.example'],
    main: { fast_flush_domains: 'b.example' },
    reply: KEPT,
    marks: 'RR',
    logged: [
      `${ID}: to=<deferred@a.example>, relay=none, dsn=4.2.1, status=deferred (not today)`,
      `${ID}: to=<deferred@b.example>, relay=none, dsn=4.2.1, status=deferred (not today)`,
    ],
    requests: [
      'defer 0 0 deferred@a.example 4.2.1 delayed not today',
      'defer 0 0 deferred@b.example 4.2.1 delayed not today',
      `flush add b.example ${ID}`,
    ],
  },
  {
    what: 'deferred, and the log of it fails: deferred all the same',
    to: ['deferred@a.example'],
    status: -1,
    reply: KEPT,
    marks: 'R',
    logged: [`${ID}: to=<deferred@a.example>, relay=none, dsn=4.2.1, status=deferred (not today)`],
    requests: ['defer 0 0 deferred@a.example 4.2.1 delayed not today'],
  },
  {
    what: 'bounced: the mark comes after the log',
    to: ['bounced@a.example'],
    marks: 'D',
    logged: [`${ID}: to=<bounced@a.example>, relay=none, dsn=5.1.1, status=bounced (gone)`],
    requests: ['bounce 0 0 bounced@a.example 5.1.1 failed gone'],
  },
  {
    what: 'bounced, and the log of it fails: deferred',
    to: ['bounced@a.example'],
    status: -1,
    reply: KEPT,
    marks: 'R',
    logged: [
      `${ID}: to=<bounced@a.example>, relay=none, dsn=4.3.0, status=deferred (bounce or trace service failure)`,
    ],
    requests: [
      'bounce 0 0 bounced@a.example 5.1.1 failed gone',
      'defer 0 0 bounced@a.example 4.3.0 delayed bounce or trace service failure',
    ],
  },
  {
    what: 'bounced with soft_bounce',
    to: ['bounced@a.example'],
    main: { soft_bounce: 'yes' },
    reply: KEPT,
    marks: 'R',
    logged: [`${ID}: to=<bounced@a.example>, relay=none, dsn=4.1.1, status=SOFTBOUNCE (gone)`],
    requests: ['defer 0 0 bounced@a.example 4.1.1 delayed gone'],
  },
  {
    what: 'a probe of verify',
    to: [{ address: 'sent@a.example', original: 'alias@a.example' }, 'bounced@a.example'],
    flags: 3 | MTA_VRFY,
    marks: 'DD',
    logged: [
      `${ID}: to=<sent@a.example>, orig_to=<alias@a.example>, relay=none, dsn=2.0.0, status=deliverable (quietly)`,
      `${ID}: to=<bounced@a.example>, relay=none, dsn=5.1.1, status=undeliverable (gone)`,
    ],
    requests: [
      'verify update alias@a.example 0 quietly',
      'verify update sent@a.example 0 quietly',
      'verify update bounced@a.example 2 gone',
    ],
  },
  {
    what: 'sendmail -bv',
    to: ['sent@a.example', 'deferred@a.example'],
    flags: 3 | USR_VRFY,
    marks: 'DD',
    logged: [
      `${ID}: to=<sent@a.example>, relay=none, dsn=2.0.0, status=deliverable (quietly)`,
      `${ID}: to=<deferred@a.example>, relay=none, dsn=4.2.1, status=undeliverable (not today)`,
    ],
    requests: [
      'trace 0 512 sent@a.example 2.0.0 deliverable quietly',
      'trace 0 512 deferred@a.example 4.2.1 undeliverable not today',
    ],
  },
  {
    what: 'an agent that crashes in the middle delays the others',
    to: ['forgotten@a.example', 'crash@a.example', 'sent@b.example'],
    reply: KEPT,
    marks: 'RRR',
    logged: ['forgotten@a.example', 'crash@a.example', 'sent@b.example'].map(
      (to) =>
        `${ID}: to=<${to}>, relay=none, dsn=4.3.0, status=deferred (mail system trouble: crashed on purpose)`,
    ),
    requests: ['forgotten@a.example', 'crash@a.example', 'sent@b.example'].map(
      (to) => `defer 0 0 ${to} 4.3.0 delayed mail system trouble: crashed on purpose`,
    ),
  },
  {
    what: 'a destination in trouble is named in the reply',
    to: ['site@a.example'],
    reply: {
      detail: {
        ...NO_DETAIL,
        status: '4.4.1',
        reason: 'connect to 192.0.2.9[192.0.2.9]:25: Connection refused',
      },
      status: -1,
    },
    marks: 'R',
    logged: [
      `${ID}: to=<site@a.example>, relay=none, dsn=4.4.1, status=deferred (connect to 192.0.2.9[192.0.2.9]:25: Connection refused)`,
    ],
    requests: [
      'defer 0 0 site@a.example 4.4.1 delayed connect to 192.0.2.9[192.0.2.9]:25: Connection refused',
    ],
  },
];
for (const { what, to, flags, main, status, reply = GOOD, marks, logged, requests = [] } of CASES) {
  test(what, async (t) => {
    const scene = await startScene(t, { main, status });
    const result = await deliver(scene, to, flags === undefined ? {} : { flags });
    assert.deepEqual(result.logged, logged);
    assert.deepEqual(scene.requests, requests);
    assert.deepEqual(result.reply, reply);
    assert.equal(result.marks, marks);
  });
}

test('a recipient is marked only when bounce has been told', async (t) => {
  const scene = await startScene(t);
  await deliver(scene, ['bounced@a.example', 'bounced@b.example']);
  assert.deepEqual(scene.marksSeen, ['RR', 'DR']);
});

test('what was recorded before a crash stays recorded', async (t) => {
  const scene = await startScene(t);
  const to = ['sent@a.example', 'crash@a.example'];
  const { marks, reply } = await deliver(scene, to, { nexthop: 'at once' });
  assert.equal(marks, 'DR');
  assert.deepEqual(reply, KEPT);
});

test('a recipient is handed over to another agent, which marks it', async (t) => {
  const scene = await startScene(t);
  const passed: unknown[] = [];
  await scriptedService(t, scene.master.path('private/other'), async (connection) => {
    await connection.send(announcement(PROTOCOLS.delivery));
    const request = await receiveRequest(connection);
    passed.push(
      request?.nexthop,
      request?.recipients.map(({ address }) => address),
      request?.times.arrival,
    );
    await connection.send(
      formatAttributes([
        ['status', ''],
        ['diag_type', ''],
        ['diag_text', ''],
        ['mta_type', ''],
        ['mta_mname', ''],
        ['action', ''],
        ['reason', ''],
        ['status', -1],
      ]),
    );
    await connection.awaitEnd();
  });
  const { reply, marks, logged } = await deliver(scene, ['elsewhere@a.example', 'sent@a.example']);
  const { arrival } = sampleRequest.times;
  assert.deepEqual(passed, ['there', ['elsewhere@a.example'], arrival]);
  assert.deepEqual(reply, KEPT);
  assert.equal(marks, 'RD');
  assert.equal(logged.length, 1);
});

for (const [what, id, mode] of [
  ['that is gone', 'FFFFFFFFFFF', 0o700],
  ['that is not complete', ID, 0o600],
  ['whose id is none', '../../main.cf', 0o700],
] as const) {
  test(`a message ${what} gets no reply, and a warning`, async (t) => {
    const scene = await startScene(t);
    const { master } = scene;
    const { recipients } = writeMessage(master.path(`active/${ID}`), ['sent@a.example'], mode);
    const agent = await AgentConnection.connect(master.path(SOCKET), PATIENCE_MS);
    const reply = await agent.deliver({ ...sampleRequest, queueId: id, recipients });
    assert.equal(reply, undefined);
    agent.close();
    await master.waitForLog(/warning: .*open active/);
  });
}

test('qmgr may connect and leave without a request', async (t) => {
  const scene = await startScene(t);
  const agent = await AgentConnection.connect(scene.master.path(SOCKET), PATIENCE_MS);
  agent.close();
  await eventually('the agent to be free', () => scene.daemon.reports.length === 2);
  assert.deepEqual(scene.daemon.reports, [0, 1]);
  assert.equal(scene.master.log(), '');
});

test('one connection serves request after request, and bounce is asked over one, too', async (t) => {
  const scene = await startScene(t, { keeps: true });
  const { master } = scene;
  const agent = await AgentConnection.connect(master.path(SOCKET), PATIENCE_MS);
  for (const id of ['AAAAAAAAAAA', 'BBBBBBBBBBB', 'CCCCCCCCCCC']) {
    const message = writeMessage(master.path(`active/${id}`), ['bounced@a.example']);
    const { recipients } = message;
    assert.deepEqual(await agent.deliver({ ...sampleRequest, queueId: id, recipients }), GOOD);
    assert.equal(message.marks(), 'D');
    assert.equal(agent.reusable, true);
  }
  await eventually('a report', () => scene.daemon.reports.length > 0);
  assert.deepEqual(scene.daemon.reports, [0]);
  agent.close();
});

test('a kept connection is closed when the agent is told to leave', async (t) => {
  const scene = await startScene(t);
  const { recipients } = writeMessage(scene.master.path(`active/${ID}`), ['sent@a.example']);
  const agent = await AgentConnection.connect(scene.master.path(SOCKET), PATIENCE_MS);
  await agent.deliver({ ...sampleRequest, recipients });
  assert.equal(agent.reusable, true);
  scene.daemon.disconnect();
  assert.deepEqual(await scene.daemon.ended, { code: 0, signal: null });
  await eventually('the connection to be useless', () => !agent.reusable);
});

test('a kept connection is let go after its turn: others may be waiting', async (t) => {
  const scene = await startScene(t);
  const { recipients } = writeMessage(scene.master.path(`active/${ID}`), ['sent@a.example']);
  const agent = await AgentConnection.connect(scene.master.path(SOCKET), PATIENCE_MS);
  const request = { ...sampleRequest, recipients };
  assert.deepEqual(await agent.deliver(request), GOOD);
  assert.equal(agent.reusable, true);
  await eventually('the agent to let go', () => !agent.reusable);
  assert.equal(await agent.deliver(request), undefined);
  agent.close();
});

test('deliveries run at the same time, as many as there are slots', async (t) => {
  const scene = await startScene(t, { slots: 3 });
  const { master } = scene;
  await eventually('the first report', () => scene.daemon.reports.length > 0);
  const agents = await Promise.all(
    [1, 2, 3].map(() => AgentConnection.connect(master.path(SOCKET), PATIENCE_MS)),
  );
  await eventually('the second report', () => scene.daemon.reports.length > 1);
  assert.deepEqual(scene.daemon.reports, [3, 0]);
  for (const agent of agents) agent.close();
  await eventually('all to be free', () => scene.daemon.reports.at(-1) === 3);
});
