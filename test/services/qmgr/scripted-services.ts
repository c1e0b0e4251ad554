/** The far ends of qmgr on real sockets: trivial-rewrite, delivery agents, bounce. */
import { appendFileSync, closeSync, fchmodSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { flock } from '../../../lib/os/locks.ts';
import type { QueueId } from '../../../lib/queue/queue-id.ts';
import { DEFAULT_HASHING, queuePath } from '../../../lib/queue/queue-path.ts';
import { atEnd } from '../../support/cleanup.ts';

/** Attributes in their order; a name may come twice. */
type Attributes = readonly (readonly [string, string])[];

/** A delivery request as the agent saw it. */
export interface SeenRequest {
  readonly flags: number;
  readonly queueId: string;
  readonly nexthop: string;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly offset: number }[];
  readonly all: ReadonlyMap<string, string>;
}

/** What a scripted agent does with a request. */
export type Behaviour =
  /** Marks and answers. */
  | { readonly kind: 'sent' }
  /** Writes the defer log and answers. */
  | { readonly kind: 'deferred'; readonly reason?: string }
  /** Writes the bounce log, marks and answers. */
  | { readonly kind: 'bounced' }
  /** The destination is in trouble. */
  | { readonly kind: 'site'; readonly status: string; readonly reason: string }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'close' }
  /** Waits until the test says what. */
  | { readonly kind: 'wait'; readonly until: Promise<Behaviour> };

const NUL = '\0';

function list(attributes: Attributes): string {
  return attributes.map(([name, value]) => `${name}${NUL}${value}${NUL}`).join('') + NUL;
}

/** Splits whole attribute lists off the front of what has come. */
function takeList(text: string): { list: [string, string][]; rest: string } | undefined {
  const found: [string, string][] = [];
  let at = 0;
  for (;;) {
    const nameEnd = text.indexOf(NUL, at);
    if (nameEnd < 0) return undefined;
    if (nameEnd === at) return { list: found, rest: text.slice(at + 1) };
    const valueEnd = text.indexOf(NUL, nameEnd + 1);
    if (valueEnd < 0) return undefined;
    found.push([text.slice(at, nameEnd), text.slice(nameEnd + 1, valueEnd)]);
    at = valueEnd + 1;
  }
}

/** Serves a socket below the queue directory until the test ends. */
export function serve(
  t: TestContext,
  path: string,
  greeting: string,
  onLists: (lists: [string, string][][], socket: Socket) => boolean | Promise<boolean>,
): Server {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.write(greeting);
    let text = '';
    let lists: [string, string][][] = [];
    socket.on('data', (bytes) => {
      text += bytes.toString('utf8');
      for (let found = takeList(text); found !== undefined; found = takeList(text)) {
        lists.push(found.list);
        text = found.rest;
      }
      void Promise.resolve(onLists(lists, socket)).then((done) => {
        if (done) lists = [];
      });
    });
  });
  mkdirSync(dirname(path), { recursive: true });
  server.listen(path);
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return server;
}

/** Where recipients go; a recipient not named goes to `[transport, its domain]`. */
export type Routing = (address: string) => {
  transport: string;
  nexthop?: string;
  flags?: number;
  recipient?: string;
};

/** trivial-rewrite. @returns the addresses it was asked for */
export function serveRewrite(t: TestContext, directory: string, routing: Routing): string[] {
  const asked: string[] = [];
  const greeting = list([['protocol', 'trivial_rewrite_protocol']]);
  serve(t, join(directory, 'private/rewrite'), greeting, (lists, socket) => {
    for (const request of lists) {
      const fields = new Map(request);
      const address = fields.get('address') ?? '';
      asked.push(address);
      if (fields.get('request') === 'rewrite') {
        socket.write(
          list([
            ['flags', '0'],
            ['address', address],
          ]),
        );
        continue;
      }
      const { transport, nexthop, flags, recipient } = routing(address);
      const domain = address.slice(address.lastIndexOf('@') + 1);
      socket.write(
        list([
          ['flags', '0'],
          ['transport', transport],
          ['nexthop', nexthop ?? domain],
          ['recipient', recipient ?? address],
          ['flags', String(flags ?? 4096)],
        ]),
      );
    }
    return true;
  });
  return asked;
}

/** A request to bounce(8) as it saw it. */
export type SeenNotice = { readonly service: string } & Readonly<Record<string, string>>;

/**
 * bounce, defer and trace: they write no real notices, but keep the logs that qmgr looks at.
 *
 * @param answer what they answer: 0 is done
 */
export function serveBounce(
  t: TestContext,
  directory: string,
  answer: (notice: SeenNotice) => number = () => 0,
): SeenNotice[] {
  const seen: SeenNotice[] = [];
  const greeting = list([['protocol', 'delivery_status_protocol']]);
  for (const service of ['bounce', 'defer', 'trace'] as const) {
    serve(t, join(directory, 'private', service), greeting, (lists, socket) => {
      for (const request of lists) {
        const notice = { service, ...Object.fromEntries(request) } as SeenNotice;
        seen.push(notice);
        const status = answer(notice);
        if (status === 0 && notice['nrequest'] === '0') {
          writeLog(directory, service, notice['queue_id'] ?? '', notice['reason'] ?? '');
        }
        socket.end(list([['status', String(status)]]));
      }
      return true;
    });
  }
  return seen;
}

/** Adds an entry to a log of a message. */
export function writeLog(
  directory: string,
  queue: 'bounce' | 'defer' | 'trace',
  id: string,
  reason: string,
): void {
  const path = join(directory, queuePath(queue, id as QueueId, DEFAULT_HASHING));
  mkdirSync(dirname(path), { recursive: true });
  appendFileSync(path, `\n<x@y>: ${reason}\nrecipient=x@y\nreason=${reason}\n\n`);
}

/** A delivery agent under script. */
export interface ScriptedAgent {
  readonly requests: SeenRequest[];
  /** Deliveries at this moment, and at most. */
  readonly load: { now: number; most: number };
  /** Connections that were made. */
  connections: number;
}

export interface AgentOptions {
  /** Stay for another request, as our agents do. */
  readonly keeps?: boolean;
  /** How many clients it serves at once; others wait for its greeting. */
  readonly slots?: number;
}

/** Serves `private/NAME` as a delivery agent that behaves as told. */
export function serveAgent(
  t: TestContext,
  directory: string,
  name: string,
  behave: (request: SeenRequest) => Behaviour,
  options: AgentOptions = {},
): ScriptedAgent {
  const agent: ScriptedAgent = { requests: [], load: { now: 0, most: 0 }, connections: 0 };
  const greeting = list([['protocol', 'delivery_request_protocol']]);
  const waiting: Socket[] = [];
  let free = options.slots ?? Number.POSITIVE_INFINITY;
  const greet = () => {
    for (let socket = waiting[0]; socket !== undefined && free > 0; socket = waiting[0]) {
      waiting.shift();
      if (socket.destroyed) continue;
      free -= 1;
      socket.once('close', () => {
        free += 1;
        greet();
      });
      socket.write(greeting);
    }
  };
  serve(t, join(directory, 'private', name), '', async (lists, socket) => {
    const [head, ...rest] = lists;
    if (head === undefined) return false;
    const all = new Map(head);
    if (rest.length < Number(all.get('recipient_count'))) return false;
    const request: SeenRequest = {
      flags: Number(all.get('flags')),
      queueId: all.get('queue_id') ?? '',
      nexthop: all.get('nexthop') ?? '',
      sender: all.get('sender') ?? '',
      recipients: rest.map((group) => {
        const fields = new Map(group);
        return { address: fields.get('recipient') ?? '', offset: Number(fields.get('offset')) };
      }),
      all,
    };
    lists.length = 0;
    agent.requests.push(request);
    agent.load.now += 1;
    agent.load.most = Math.max(agent.load.most, agent.load.now);
    let behaviour = behave(request);
    const path = join(directory, 'active', request.queueId);
    const fd = openSync(path, 'r+');
    flock(fd, 'shared');
    if (behaviour.kind === 'wait') behaviour = await behaviour.until;
    // Before the answer: whoever reads it may ask for more at once.
    agent.load.now -= 1;
    act(directory, behaviour, request, fd, socket, options.keeps === true);
    closeSync(fd);
    return false;
  }).on('connection', (socket: Socket) => {
    agent.connections += 1;
    waiting.push(socket);
    greet();
  });
  return agent;
}

function act(
  directory: string,
  behaviour: Behaviour,
  request: SeenRequest,
  fd: number,
  socket: Socket,
  keeps: boolean,
): void {
  const mark = () => {
    if ((request.flags & 1) === 0) return;
    for (const { offset } of request.recipients) writeSync(fd, 'D', offset);
  };
  const reply = (status: number, dsn = '', reason = '') => {
    const text = list([
      ['status', dsn],
      ['diag_type', ''],
      ['diag_text', ''],
      ['mta_type', ''],
      ['mta_mname', ''],
      ['action', ''],
      ['reason', reason],
      ['status', status === 0 ? '0' : '4294967295'],
    ]);
    socket.write(keeps ? text + list([['reuse', 'yes']]) : text);
  };
  switch (behaviour.kind) {
    case 'sent':
      mark();
      reply(0);
      return;
    case 'deferred':
      writeLog(directory, 'defer', request.queueId, behaviour.reason ?? 'later');
      reply(-1);
      return;
    case 'bounced':
      for (const _ of request.recipients) writeLog(directory, 'bounce', request.queueId, 'no');
      mark();
      reply(0);
      return;
    case 'site':
      writeLog(directory, 'defer', request.queueId, behaviour.reason);
      reply(-1, behaviour.status, behaviour.reason);
      return;
    case 'unreadable':
      fchmodSync(fd, 0o400);
      reply(-1);
      return;
    case 'garbage':
      socket.end(`xyz${NUL}${NUL}`);
      return;
    case 'close':
      socket.end();
      return;
    case 'wait':
      throw new Error('an agent waits only once');
  }
}
