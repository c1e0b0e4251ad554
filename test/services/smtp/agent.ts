import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { AgentConnection } from '../../../lib/clients/delivery.ts';
import { nowMicroseconds } from '../../../lib/clock/clock.ts';
import { NEVER } from '../../../lib/delivery/delivery-times.ts';
import type { Recipient } from '../../../lib/delivery/recipient.ts';
import type { DeliveryRequest } from '../../../lib/delivery/request.ts';
import { formatRecord } from '../../../lib/queue/record.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

/** What a recipient's fate was reported as. */
export interface Report {
  readonly queueId: string;
  readonly service: 'bounce' | 'defer' | 'trace';
  readonly recipient: string;
  readonly status: string;
  readonly reason: string;
  readonly action: string;
  readonly diagnostic: string;
  readonly mta: string;
}

export interface AgentOptions {
  /** Postfix's program rather than ours. */
  readonly real?: boolean;
  readonly protocol?: 'smtp' | 'lmtp';
  readonly main?: Readonly<Record<string, string>>;
  /** POSTHASTE_SLOTS */
  readonly slots?: number;
}

export interface Mail extends Partial<Omit<DeliveryRequest, 'recipients'>> {
  readonly recipients?: readonly (string | Partial<Recipient>)[];
  /** LF between lines. */
  readonly content?: string;
}

export interface Delivery {
  /** As qmgr sees it: 0, or some stay in the queue. */
  readonly status: number;
  /** What slows the destination down. */
  readonly site: string;
  readonly reports: readonly Omit<Report, 'queueId'>[];
  /** This message's log lines, the part behind the queue id. */
  log(): string[];
}

export interface Agent {
  readonly queue: string;
  /** Makes a queue file and has it delivered. */
  deliver(nexthop: string, mail?: Mail): Promise<Delivery>;
  waitForLog(pattern: RegExp): Promise<string>;
  /** Ends it, as a crash does. */
  kill(): void;
}

export const REAL_SMTP = '/usr/lib/postfix/sbin/smtp';
export const hasRealSmtp = existsSync(REAL_SMTP) && process.getuid?.() === 0;

/** Records that this delivery be told of: also successes are reported, by way of trace. */
export const REPORT_ALL = 1 | 2 | 1024;

let serial = 0;

/** Starts the agent; it ends with the test. */
export function startAgent(t: TestContext, options: AgentOptions = {}): Agent {
  const { real = false, protocol = 'smtp' } = options;
  const master = scriptedMaster(t, {
    myhostname: 'mail.example.com',
    inet_protocols: 'ipv4',
    inet_interfaces: '127.0.0.1',
    ...(real ? {} : { dns_nameservers: '127.0.0.1:1' }),
    ...options.main,
  });
  const { queue } = master;
  for (const name of ['pid', 'defer', 'bounce', 'trace']) {
    mkdirSync(join(queue, name), { recursive: true });
    chmodSync(join(queue, name), 0o777);
  }
  const reports: Report[] = [];
  for (const service of ['bounce', 'defer', 'trace'] as const) {
    startReporter(t, join(queue, 'private', service), service, reports);
  }
  const program = real ? `/usr/lib/postfix/sbin/${protocol}` : resolve(`build/libexec/${protocol}`);
  const daemon = master.start({
    program,
    listen: `private/${protocol}`,
    slots: options.slots,
    environment: { PATH: process.env['PATH'] ?? '' },
  });
  return {
    queue,
    waitForLog: master.waitForLog,
    kill: () => daemon.kill('SIGKILL'),
    async deliver(nexthop, mail = {}) {
      const request = writeMail(queue, nexthop, mail);
      const connection = await AgentConnection.connect(
        join(queue, 'private', protocol),
        PATIENCE_MS,
      );
      try {
        const reply = await connection.deliver(request);
        if (reply === undefined) throw new Error(`no reply from the agent: ${daemon.errors()}`);
        const own = reports.filter((report) => report.queueId === request.queueId);
        const prefix = `${request.queueId}: `;
        return {
          status: reply.status,
          site: reply.detail.reason,
          reports: own.map(({ queueId: _, ...report }) => report),
          log: () =>
            master
              .log()
              .split('\n')
              .filter((line) => line.includes(prefix))
              .map((line) => line.slice(line.indexOf(prefix) + prefix.length)),
        };
      } finally {
        connection.close();
      }
    },
  };
}

/** bounce(8), defer or trace: takes every entry. */
function startReporter(
  t: TestContext,
  path: string,
  service: Report['service'],
  reports: Report[],
): void {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => {}).on('close', () => clients.delete(socket));
    socket.write('protocol\0delivery_status_protocol\0\0');
    let bytes = '';
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk;
      if (!bytes.endsWith('\0\0') || !bytes.includes('\0reason\0')) return;
      reports.push(reportFrom(service, bytes));
      bytes = '';
      socket.end('status\x000\0\0');
    });
  });
  server.listen(path, () => chmodSync(path, 0o777));
  atEnd(t, () => {
    for (const socket of clients) socket.destroy();
    server.close();
  });
}

function reportFrom(service: Report['service'], bytes: string): Report {
  const words = bytes.split('\0');
  const value = (name: string) => {
    const at = words.findIndex((word, index) => index % 2 === 0 && word === name);
    return at < 0 ? '' : (words[at + 1] ?? '');
  };
  return {
    queueId: value('queue_id'),
    service,
    recipient: value('recipient'),
    status: value('status'),
    reason: value('reason'),
    action: value('action'),
    diagnostic: value('diag_text'),
    mta: value('mta_mname'),
  };
}

const CONTENT = 'Subject: test\n\nhello\n.dot\n';

/** Writes `active/ID` and makes the request that goes with it. */
function writeMail(queue: string, nexthop: string, mail: Mail): DeliveryRequest {
  const { recipients = ['bob@example.net'], content = CONTENT, ...rest } = mail;
  serial += 1;
  const queueId =
    `${process.pid.toString(16)}${serial.toString(16).padStart(5, '0')}`.toUpperCase();
  const { seconds } = nowMicroseconds();
  const sender = rest.sender ?? 'ann@example.com';
  const head: Buffer[] = [
    formatRecord('C', ''.padEnd(60, ' ')),
    formatRecord('T', `${seconds} 0`),
    formatRecord('S', sender),
  ];
  const length = () => head.reduce((sum, bytes) => sum + bytes.length, 0);
  const list: Recipient[] = recipients.map((given) => {
    const offset = length();
    const plain = typeof given === 'string' ? { address: given } : given;
    const address = plain.address ?? 'bob@example.net';
    head.push(formatRecord('R', address));
    return { original: address, address, offset, dsnOriginal: '', notify: 0, ...plain };
  });
  head.push(formatRecord('M'));
  const contentOffset = length();
  const body = contentRecords(content);
  const file = Buffer.concat([...head, ...body, formatRecord('X'), formatRecord('E')]);
  const path = join(queue, 'active', queueId);
  writeFileSync(path, file);
  chmodSync(path, 0o700);
  const moment = nowMicroseconds();
  return {
    flags: 3,
    queueName: 'active',
    queueId,
    contentOffset,
    contentSize: Buffer.byteLength(content) + content.split('\n').length - 1,
    nexthop,
    encoding: '7bit',
    sendOptions: 0,
    sender,
    envelopeId: '',
    retFlags: 0,
    times: {
      arrival: moment,
      active: moment,
      handoff: moment,
      connected: NEVER,
      delivered: NEVER,
      reuseCount: 0,
    },
    logClientName: 'client.example',
    logClientAddress: '192.0.2.55',
    logClientPort: '4321',
    logClientProtocol: 'ESMTP',
    logClientHelo: 'helo.example',
    saslMethod: '',
    saslUsername: '',
    saslSender: '',
    logIdent: queueId,
    rewriteContext: 'remote',
    ...rest,
    recipients: list,
  };
}

const RECORD_MAX = 2048;

/** Lines as cleanup writes them: long ones in several records. */
function contentRecords(content: string): Buffer[] {
  const lines = content.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.flatMap((line) => {
    const bytes = Buffer.from(line);
    const records: Buffer[] = [];
    let at = 0;
    for (; bytes.length - at > RECORD_MAX; at += RECORD_MAX) {
      records.push(formatRecord('L', bytes.subarray(at, at + RECORD_MAX)));
    }
    return [...records, formatRecord('N', bytes.subarray(at))];
  });
}

/** Waits for a log line of a delivery. */
export function logged(delivery: Delivery, pattern: RegExp): Promise<string> {
  return eventually(`${pattern} in the log`, () =>
    delivery.log().find((line) => pattern.test(line)),
  );
}
