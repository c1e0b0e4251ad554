/** error, retry and discard answer, log and mark as those of real Postfix do. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentConnection, type DeliveryReply } from '../../../lib/clients/delivery.ts';
import type { WallTime } from '../../../lib/clock/clock.ts';
import { NEVER } from '../../../lib/delivery/delivery-times.ts';
import type { DeliveryRequest } from '../../../lib/delivery/request.ts';
import { PATIENCE_MS } from '../../support/condition.ts';
import {
  type Instance,
  OUR_DAEMONS,
  offsetOf,
  REAL_DAEMONS,
  startInstance,
  whyNot,
} from '../bounce/instance.ts';
import { MESSAGE, QUEUE_ID } from '../bounce/scenarios.ts';

const ARRIVAL = 1_795_300_680;
const OFFSET = offsetOf(MESSAGE, 'bad1@mix.test');
const OTHER_OFFSET = offsetOf(MESSAGE, 'bad 2@mix.test');

interface Case {
  readonly service: 'error' | 'retry' | 'discard';
  readonly nexthop: string;
  readonly request?: Partial<DeliveryRequest>;
  /** Seconds until active, and until handed over: delays=a/b. */
  readonly waits?: readonly [number, number];
}

const CASES: readonly Case[] = [
  { service: 'error', nexthop: '5.7.1 this domain is closed' },
  { service: 'error', nexthop: 'no status' },
  { service: 'error', nexthop: '4.3.2 a status of another class' },
  { service: 'error', nexthop: '5.1.1x not a status' },
  { service: 'retry', nexthop: '4.3.2 deferred transport' },
  { service: 'retry', nexthop: '5.1.1 a status of another class' },
  { service: 'discard', nexthop: '2.7.1 load test' },
  { service: 'discard', nexthop: 'quietly' },
  { service: 'discard', nexthop: '5.1.1 a status of another class' },
  { service: 'discard', nexthop: 'x', request: { flags: 2 } },
  { service: 'discard', nexthop: 'x', request: { flags: 3 | 8192 } },
  { service: 'discard', nexthop: 'x', request: { flags: 3 | 512 } },
  { service: 'error', nexthop: 'x', request: { flags: 3 | 512 } },
  { service: 'retry', nexthop: 'x', request: { flags: 3 | 512 } },
  ...(
    [
      [0.004, 0.005],
      [0.0151, 0.0996],
      [0.994, 0.996],
      [1.24, 1.26],
      [9.94, 9.96],
      [12.4, 12.6],
      [99.6, 123.4],
      [5403.2, 0.1],
      [0.000001, 0.000999],
      [-5, 3],
    ] as const
  ).map((waits): Case => ({ service: 'discard', nexthop: `waits ${waits}`, waits })),
];

function requestOf({ nexthop, request, waits = [1, 2] }: Case): DeliveryRequest {
  const active = ARRIVAL + waits[0];
  return {
    flags: 3,
    queueName: 'active',
    queueId: QUEUE_ID,
    contentOffset: 0,
    contentSize: 100,
    nexthop,
    encoding: '8bit',
    sendOptions: 0,
    sender: 'alice@client.test',
    envelopeId: '',
    retFlags: 0,
    times: {
      arrival: wallTime(ARRIVAL),
      active: wallTime(active),
      handoff: wallTime(active + waits[1]),
      connected: NEVER,
      delivered: NEVER,
      reuseCount: 0,
    },
    logClientName: '',
    logClientAddress: '',
    logClientPort: '',
    logClientProtocol: '',
    logClientHelo: '',
    saslMethod: '',
    saslUsername: '',
    saslSender: '',
    logIdent: '',
    rewriteContext: 'local',
    recipients: [
      {
        original: 'BAD1@mix.test',
        address: 'bad1@mix.test',
        offset: OFFSET,
        dsnOriginal: '',
        notify: 0,
      },
      {
        original: 'alias@mix.test',
        address: 'bad 2@mix.test',
        offset: OTHER_OFFSET,
        dsnOriginal: 'rfc822;alias@mix.test',
        notify: 2,
      },
    ],
    ...request,
  };
}

function wallTime(seconds: number): WallTime {
  const whole = Math.floor(seconds);
  return { seconds: whole, microseconds: Math.round((seconds - whole) * 1_000_000) };
}

interface Seen {
  readonly reply: DeliveryReply | undefined;
  readonly logs: readonly (string | undefined)[];
  readonly marks: string;
  readonly lines: readonly string[];
}

async function play(t: TestContext, daemons: string): Promise<Seen[]> {
  const instance = await startInstance(t, daemons);
  const seen: Seen[] = [];
  for (const item of CASES) seen.push(await playOne(instance, item));
  return seen;
}

async function playOne(instance: Instance, item: Case): Promise<Seen> {
  instance.writeQueueFile(QUEUE_ID, MESSAGE);
  for (const queue of ['bounce', 'defer', 'trace']) instance.removeLog(queue, QUEUE_ID);
  const before = instance.log().length;
  const agent = await AgentConnection.connect(
    `${instance.queue}/private/${item.service}`,
    PATIENCE_MS,
  );
  const reply = await agent.deliver(requestOf(item));
  agent.close();
  const lines = () => deliveryLines(instance.log().slice(before));
  await instance.waitFor(() => lines().length === 2);
  return {
    reply,
    logs: ['bounce', 'defer', 'trace'].map((queue) => instance.readLog(queue, QUEUE_ID)),
    marks: instance.recipientMarks(QUEUE_ID),
    lines: lines(),
  };
}

/** Total delay and the time of delivery itself differ from run to run. */
function deliveryLines(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.includes(`${QUEUE_ID}: to=`))
    .map((line) =>
      line
        .replace(/^.*? postfix\//, '')
        .replace(/\[\d+\]/, '')
        .replace(/ delay=[^,]+,/, ' delay=N,')
        .replace(/(delays=[^/]+\/[^/]+)\/[^,]+,/, '$1/N/N,'),
    );
}

test('error, retry and discard', { skip: whyNot() }, async (t) => {
  const real = await play(t, REAL_DAEMONS);
  const ours = await play(t, OUR_DAEMONS);
  for (const [index, { service, nexthop, request }] of CASES.entries()) {
    await t.test(`${service}: "${nexthop}" ${JSON.stringify(request ?? {})}`, () => {
      assert.deepEqual(ours[index], real[index]);
    });
  }
});
