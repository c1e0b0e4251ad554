/**
 * Postfix's smtpd and ours, each before Postfix's cleanup and ours: four ways for a message to meet a
 * milter. All are in one mail system; who a client is decides which milters it gets.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { QueueFile } from '../../../lib/queue/queue-file.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { type MilterPeer, type MilterScript, startMilterPeer } from '../../support/milter-peer.ts';
import { freePort } from '../../support/ports.ts';
import { readyFiles } from '../../support/ready-file.ts';
import { commandOf, type Maker } from '../../support/real-postfix.ts';
import { converse, type Door, type Step } from './dialogue.ts';

/** A client with milters of its own, and what it says. */
export interface Scenario {
  /** In their order. */
  readonly milters: readonly MilterScript[];
  /** By the number of a milter: settings in braces, `default_action=accept`. */
  readonly settings?: readonly string[];
  readonly steps: readonly Step[];
  /** A client that it speaks for has the same milters. */
  readonly client?: string;
}

/** Whose smtpd, and whose cleanup. */
export type Arrangement = `${Maker}-${Maker}`;
export const ARRANGEMENTS: readonly Arrangement[] = [
  'real-real',
  'ours-ours',
  'real-ours',
  'ours-real',
];

export interface Reaction {
  readonly replies: readonly string[];
  /** Lines of smtpd, and then those of cleanup. */
  readonly log: readonly string[];
  /** What each milter was told. */
  readonly milters: readonly (readonly (readonly string[])[])[];
  /** The records of the message, in their logical order; none when there is no message. */
  readonly queue: string;
  readonly records: readonly string[];
}

const PORT = 2525;
const NETWORK = `127.${192 + (process.pid % 60)}`;
const THIRD = (process.pid >> 6) % 200;
const PREFIX = `${NETWORK}.${THIRD}`;
const CLIENTS_PER_NETWORK = 150;

const SERVICES = [
  'pickup unix n - n 60 1 pickup',
  'cleanup unix n - n - 0 cleanup',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'flush unix n - n 1000? 0 flush',
  'anvil unix - - n - 1 anvil',
  'tlsmgr unix - - n 1000? 1 tlsmgr',
  'error unix - - n - - error',
];

export interface MilterServers {
  readonly mail: MailSystem;
  /** @param wanted lines of the log to wait for: another process may write them late */
  play(arrangement: Arrangement, name: string, wanted?: number): Promise<Reaction>;
}

/** Starts them all, and a milter for each scenario that wants one. */
export async function startMilterServers(
  t: TestContext,
  scenarios: Readonly<Record<string, Scenario>>,
  main: Readonly<Record<string, string>> = {},
  arrangements: readonly Arrangement[] = ARRANGEMENTS,
  { isIpv6 = false } = {},
): Promise<MilterServers> {
  const peers = new Map<string, readonly MilterPeer[]>();
  const map: string[] = [];
  const clients = new Map<string, string>();
  for (const [name, { milters, settings = [], client: spokenFor }] of Object.entries(scenarios)) {
    const own = await Promise.all(milters.map((script) => startMilterPeer(t, script)));
    peers.set(name, own);
    const third = THIRD + Math.floor(clients.size / CLIENTS_PER_NETWORK);
    const client = isIpv6
      ? '::1'
      : `${NETWORK}.${third}.${100 + (clients.size % CLIENTS_PER_NETWORK)}`;
    clients.set(name, client);
    const words = own.map(({ port }, at) =>
      settings[at] === undefined
        ? `inet:127.0.0.1:${port}`
        : `{ inet:127.0.0.1:${port}, ${settings[at]} }`,
    );
    const value = words.length === 0 ? 'DISABLE' : words.join(', ');
    for (const one of spokenFor === undefined ? [client] : [client, spokenFor]) {
      map.push(`${one} ${value}\n`);
    }
  }
  const doors = new Map<Arrangement, Door>();
  for (const [at, one] of arrangements.entries()) {
    // There is one address of IPv6, and so all clients are one.
    const door = isIpv6
      ? { host: '::1', port: await freePort() }
      : { host: `${PREFIX}.${at + 1}`, port: PORT };
    doors.set(one, door);
  }
  const lines = [
    ...SERVICES,
    `proxymap unix - - n - - ${commandOf('ours', 'real', 'proxymap')}`,
    `realcleanup unix n - n - 0 ${commandOf('ours', 'real', 'cleanup')} -o syslog_name=real`,
    ...arrangements.map((one) => {
      const [smtpd = 'ours', cleanup = 'ours'] = one.split('-') as Maker[];
      const service = cleanup === 'real' ? 'realcleanup' : 'cleanup';
      const command = commandOf('ours', smtpd, 'smtpd');
      const { host, port } = doors.get(one) as Door;
      return `[${host}]:${port} inet n - n - - ${command} -o cleanup_service_name=${service} -o syslog_name=${one}`;
    }),
  ];
  const mail = await startMailSystem(t, {
    only: lines,
    main: {
      mynetworks: '127.0.0.0/8',
      in_flow_delay: '0',
      local_recipient_maps: '',
      smtpd_peername_lookup: 'no',
      smtpd_authorized_xclient_hosts: '127.0.0.0/8',
      milter_macro_defaults: 'x=one, {y}=two {client_zone}=three',
      smtpd_recipient_restrictions: 'check_recipient_access texthash:$config_directory/access',
      smtpd_error_sleep_time: '0',
      smtpd_milters: 'inet:127.0.0.1:1',
      smtpd_milter_maps: 'texthash:$config_directory/milters',
      virtual_alias_maps: 'texthash:$config_directory/virtual',
      ...main,
    },
    files: {
      access: 'bad@lab.test REJECT go away\nbad.test REJECT\nworse@lab.test 450 <x> <y>: later\n',
      milters: map.join(''),
      virtual: 'many@lab.test one@lab.test, two@lab.test\n',
    },
  });
  return {
    mail,
    async play(arrangement, name, wanted = 0) {
      const { host = '', port } = doors.get(arrangement) as Door;
      const from = clients.get(name) as string;
      const seen = mail.log().length;
      const replies = await converse({ port, host, from }, scenarios[name]?.steps ?? []);
      const log = await eventually('the end of the session', () => {
        const text = mail.log().slice(seen);
        const lines = text.split('\n').slice(0, -1);
        const own = lines.filter(isOfInterest);
        return isLogged(lines, replies) && own.length >= wanted && own;
      });
      const milters = await Promise.all((peers.get(name) ?? []).map((peer) => peer.takeSessions()));
      const ids = messages(mail.queue);
      const [first] = ids;
      const queueId = first?.id ?? 'none';
      const records = first === undefined ? [] : recordsOf(first.path);
      for (const { path } of ids) rmSync(path, { force: true });
      const neutral = (text: string) =>
        text
          .replaceAll(queueId, 'QID')
          .replace(/<\d{14}\.QID@/g, '<TIME.QID@')
          .replaceAll(new RegExp(`${host.replaceAll('.', '\\.')}(?!\\d)`, 'g'), 'HOST')
          .replace(/queued as [0-9A-F]{6,}/, 'queued as QID')
          .replace(/(?<=i\|)[0-9A-F]{8,}(?=\|)/, 'QID')
          .replace(/^(warning: )?[0-9A-F]{8,}(?=: )/, '$1QID')
          .replace(/^(C \S+ [46]) \d+/, '$1 PORT')
          .replace(/(client_port\}\|)\d+/, '$1PORT')
          .replace(/client_port=\d+/, 'client_port=PORT')
          .replaceAll(new RegExp(`(?<=daemon_port\\}\\||server_port=)${port}`, 'g'), 'PORT')
          .replace(
            /^C +(\d+) +\d+ +(\d+ +\d+) +(\d+)/,
            (_, stored, counts, bytes) => `C ${bytes - stored} ${counts}`,
          )
          .replace(/^(A create_time|T \d).*/, '$1')
          .replace(/\w{3}, [ \d]\d \w{3} \d{4} [\d:]{8} \+0000 \(UTC\)/, 'DATE');
      return {
        replies: replies.map(neutral),
        log: log
          .map((line) => line.replace(/^.*?\/(smtpd|cleanup)\[\d+\]: /, '$1: '))
          .map((line) => line.replace(/^(\w+: )(.*)$/, (_, who, rest) => who + neutral(rest)))
          .sort((one, other) => other.slice(0, 1).localeCompare(one.slice(0, 1))),
        milters: milters.map((sessions) => sessions.map((packets) => packets.map(neutral))),
        queue: first?.queue ?? '',
        records: records.map(neutral),
      };
    },
  };
}

/** There is no qmgr, and only the real cleanup says so. */
const isOfInterest = (line: string): boolean =>
  / \S+\/(?:smtpd|cleanup)\[/.test(line) && !line.includes('public/qmgr');

/** Cleanup's lines may come after smtpd's last one. */
function isLogged(lines: readonly string[], replies: readonly string[]): boolean {
  const count = (what: RegExp) => lines.filter((line) => what.test(line)).length;
  if (count(/smtpd\[\d+\]: disconnect from/) === 0) return false;
  const after = replies.filter((_, at) => replies[at - 1]?.startsWith('354'));
  const refused = after.filter((reply) => /^[45]/.test(reply)).length;
  if (count(/cleanup\[\d+\]: \w+: milter-(?:reject|discard|hold)/) < refused) return false;
  if (count(/milter-discard/) > 0) return true;
  return count(/cleanup\[\d+\]: \w+: message-id=/) >= after.length;
}

function messages(queue: string) {
  return ['incoming', 'hold'].flatMap((name) =>
    readyFiles(join(queue, name)).map((file) => ({ queue: name, ...file })),
  );
}

/** All records, in the order in which they are read. */
export function recordsOf(path: string): string[] {
  const file = QueueFile.open(path);
  try {
    const reader = file.records();
    const records: string[] = [];
    while (reader.next()) {
      if (reader.type !== 'w' && reader.type !== 'p') {
        records.push(`${reader.type} ${reader.data().toString('latin1')}`);
      }
      if (reader.type === 'E') break;
    }
    return records;
  } finally {
    file.close();
  }
}
