/** An agent under test, its queue, and the services it talks to. */
import { chownSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { AgentConnection, type DeliveryReply } from '../../../lib/clients/delivery.ts';
import { DETAIL_FIELDS } from '../../../lib/delivery/detail-group.ts';
import type { Recipient } from '../../../lib/delivery/recipient.ts';
import { RECIPIENT_FIELDS } from '../../../lib/delivery/recipient-group.ts';
import type { DeliveryRequest } from '../../../lib/delivery/request.ts';
import { announcement, formatAttributes } from '../../../lib/ipc/attributes.ts';
import { int, str } from '../../../lib/ipc/fields.ts';
import { keepingReply } from '../../../lib/ipc/keep.ts';
import { PROTOCOLS } from '../../../lib/ipc/protocols.ts';
import { lookupUser } from '../../../lib/os/identity.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { logSocket } from '../../support/log-socket.ts';
import { type QueuedMessage, writeMessage } from '../../support/queue-message.ts';
import {
  type RunningDaemon,
  type ScriptedMaster,
  scriptedMaster,
} from '../../support/scripted-master.ts';
import { scriptedService } from '../../support/scripted-service.ts';
import { sampleRequest } from './sample-request.ts';

export const SOCKET = 'private/agent';
const PROGRAM = 'test/support/daemons/agent.cjs';
const APPEND = { nrequest: int, flags: int, queueId: str.named('queue_id') };
const ENTRY = { ...APPEND, ...RECIPIENT_FIELDS, ...DETAIL_FIELDS };

export interface Scene {
  readonly master: ScriptedMaster;
  readonly daemon: RunningDaemon;
  /** What the services were asked, in order, and the marks in the queue file at that time. */
  readonly requests: string[];
  readonly marksSeen: string[];
  log(): string;
  message: QueuedMessage | undefined;
}

export interface SceneOptions {
  /** The agent of the tests unless given. */
  readonly program?: string;
  readonly args?: readonly string[];
  readonly main?: Record<string, string>;
  readonly slots?: number;
  /** What bounce, defer and trace answer. */
  readonly status?: number;
  readonly keeps?: boolean;
}

export async function startScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const master = scriptedMaster(t, options.main);
  const requests: string[] = [];
  const marksSeen: string[] = [];
  const scene: { message: QueuedMessage | undefined } = { message: undefined };
  const reply = [['status', options.status ?? 0]] as const;
  for (const service of ['bounce', 'defer', 'trace']) {
    await scriptedService(t, master.path(`private/${service}`), async (connection) => {
      await connection.send(announcement(PROTOCOLS.bounce));
      for (;;) {
        const entry = await connection.receive(ENTRY);
        if (entry === undefined) return;
        const { nrequest, flags, address, status, action, reason } = entry;
        requests.push(`${service} ${nrequest} ${flags} ${address} ${status} ${action} ${reason}`);
        marksSeen.push(scene.message?.marks() ?? '');
        await connection.send(options.keeps ? keepingReply(reply) : formatAttributes(reply));
        if (!options.keeps) return;
      }
    });
  }
  await scriptedService(t, master.path('private/verify'), async (connection) => {
    await connection.send(announcement(PROTOCOLS.verify));
    for (;;) {
      const update = await connection.receive({
        request: str,
        address: str,
        status: int.named('recipient_status'),
        reason: str,
      });
      if (update === undefined) return;
      requests.push(`verify ${update.request} ${update.address} ${update.status} ${update.reason}`);
      await connection.send([['status', 0]]);
    }
  });
  await scriptedService(t, master.path('public/flush'), async (connection) => {
    await connection.send(announcement(PROTOCOLS.flush));
    const add = await connection.receive({
      request: str,
      site: str,
      queueId: str.named('queue_id'),
    });
    requests.push(`flush ${add?.request} ${add?.site} ${add?.queueId}`);
    await connection.send([['status', 0]]);
  });
  const { program = PROGRAM, args, slots } = options;
  const socket = logSocket(t, master.path('public/postlog'));
  const environment = { POSTLOG_SERVICE: master.path('public/postlog'), POSTLOG_HOSTNAME: 'mail' };
  const daemon = master.start({ program, listen: SOCKET, args, slots, environment });
  // Ours write the file themselves; Postfix's send their lines to postlogd.
  const log = () => master.log() + socket.lines().join('');
  return Object.assign(scene, { master, daemon, requests, marksSeen, log });
}

/** Has a message delivered to some recipients, and tells how it went. */
export async function deliver(
  scene: Scene,
  given: readonly (string | Partial<Recipient>)[],
  changes: Partial<DeliveryRequest> = {},
): Promise<{ reply: DeliveryReply | undefined; marks: string; logged: string[] }> {
  const { master } = scene;
  const { reports } = scene.daemon;
  const reported = reports.length;
  const path = master.path(`active/${sampleRequest.queueId}`);
  const message = writeMessage(path, given);
  // Postfix's local reads it as mail_owner.
  const owner = process.getuid?.() === 0 ? lookupUser('postfix') : undefined;
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  scene.message = message;
  const agent = await AgentConnection.connect(master.path(SOCKET), PATIENCE_MS);
  const { recipients, contentOffset } = message;
  const request = { ...sampleRequest, contentOffset, ...changes, recipients };
  const reply = await agent.deliver(request);
  agent.close();
  await eventually('the agent to be done', () => reports.length > reported && reports.at(-1) !== 0);
  const lines = scene.log().split('\n');
  const logged = lines
    .filter((line) => line.includes('to=<'))
    .map((line) => line.replace(/^.*?\]: |delay=[^ ]* delays=[^ ]* /g, ''));
  return { reply, marks: message.marks(), logged };
}
