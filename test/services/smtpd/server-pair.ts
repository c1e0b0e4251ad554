/**
 * Postfix's smtpd and ours side by side: in one mail system, behind one main.cf, each at ports of its
 * own, one for every setting that a test wants. Everything behind them is ours.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { commandOf, type Maker } from '../../support/real-postfix.ts';
import { converse, Dialogue, type Door, type Step } from './dialogue.ts';

/** main.cf parameters. */
export type Parameters = Readonly<Record<string, string>>;

/** Whom our servers know. Clients at 127.0.0.1 are ours, all others are strangers. */
const MAIN: Parameters = {
  mynetworks: '127.0.0.1/32',
  relay_domains: 'relay.test, .sub.relay.test',
  relay_recipient_maps: 'texthash:$config_directory/relay_recipients',
  virtual_alias_domains: 'alias.test',
  virtual_alias_maps: 'texthash:$config_directory/virtual',
  virtual_mailbox_domains: 'box.test',
  virtual_mailbox_maps: 'texthash:$config_directory/boxes',
  virtual_transport: 'discard:',
  local_transport: 'discard:',
  relay_transport: 'discard:',
  default_transport: 'discard:',
  // Without qmgr nobody would say that mail may come faster.
  in_flow_delay: '0',
  transport_maps: 'texthash:$config_directory/transport',
  relocated_maps: 'texthash:$config_directory/relocated',
  recipient_canonical_maps: 'texthash:$config_directory/canonical',
  recipient_delimiter: '+',
  smtpd_peername_lookup: 'no',
  smtpd_error_sleep_time: '0',
};

const FILES: Parameters = {
  relay_recipients: 'known@relay.test x\n',
  virtual: 'known@alias.test root@lab.test\n',
  boxes: 'known@box.test known/\n',
  transport:
    'bad.far.test error:this domain is closed\n' +
    'coded.far.test error:5.7.0 closed with a code\n' +
    'later.far.test retry:come back later\n' +
    'closed@lab.test error:5.2.1 mailbox closed\n',
  relocated: 'moved@lab.test new@far.test\n',
  canonical: 'renamed@lab.test root@lab.test\n',
  ehlo: '127.0.0.5 chunking, dsn\n',
};

/** Daemons that this project has not: Postfix's smtpd needs them. */
const REAL = ['proxymap unix - - n - - %'];
const OURS = [
  'pickup unix n - n 60 1 %',
  'cleanup unix n - n - 0 %',
  'qmgr unix n - n 300 1 %',
  'trivial-rewrite:rewrite unix - - n - - %',
  'bounce unix - - n - 0 %',
  'bounce:defer unix - - n - 0 %',
  'bounce:trace unix - - n - 0 %',
  'flush unix n - n 1000? 0 %',
  'anvil unix - - n - 1 %',
  'tlsmgr unix - - n 1000? 1 %',
  'discard unix - - n - - %',
  'error unix - - n - - %',
  'error:retry unix - - n - - %',
  'local unix - n n - - %',
  'smtp unix - - n - - %',
];

/**
 * So many servers need addresses of their own: a free port of 127.0.0.1 may be somebody's own end of
 * a connection a moment later, or be given to another test.
 */
const PORT = 2525;
const NETWORK = `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}`;

/** Who has the only process while others queue. */
const FIRST_CLIENT = '127.0.0.99';

/** What one server made of a session. */
export interface Reaction {
  readonly replies: readonly string[];
  readonly log: readonly string[];
}

export interface ServerPair {
  readonly mail: MailSystem;
  /** The first fields of their lines in master.cf. */
  readonly services: Readonly<Record<Maker, string>>;
  /** Where they are. */
  readonly doors: Readonly<Record<Maker, Door>>;
  /** Plays a session with one of them. @returns the replies */
  talk(maker: Maker, steps: readonly Step[], session?: SessionOptions): Promise<string[]>;
  /** Plays the same session with both. */
  converse(steps: readonly Step[], session?: SessionOptions): Promise<Record<Maker, Reaction>>;
}

export interface SessionOptions {
  readonly from?: string;
  /** The client may talk before the greeting. */
  readonly early?: boolean;
  /**
   * It does so for certain: it is in the queue of the socket when it begins, because another client
   * has the one process that there is (`PairOptions.processes`).
   */
  readonly queued?: boolean;
}

export interface PairOptions {
  /** How many processes each server may have, `-` as master.cf says it. */
  readonly processes?: string;
  /** What is accepted stays in the incoming queue. */
  readonly keepsMail?: boolean;
  /** On top of what all servers have in main.cf; undefined takes one out. */
  readonly common?: Readonly<Record<string, string | undefined>>;
  /** Whose verify(8) knows the addresses; there is none unless said. */
  readonly verify?: Maker;
  /** More files below the configuration directory: name to content. */
  readonly files?: Parameters;
}

/** Starts a pair for each setting, by its name. */
export async function startServerPairs<Name extends string>(
  t: TestContext,
  settings: Readonly<Record<Name, Parameters>>,
  { processes = '-', keepsMail = false, verify, common = {}, files = {} }: PairOptions = {},
): Promise<Readonly<Record<Name, ServerPair>>> {
  const lines = [
    ...REAL.map((line) => line.replace('%', commandOf('ours', 'real', line.split(' ')[0] ?? ''))),
    ...OURS.filter((line) => !(keepsMail && line.startsWith('qmgr '))).map(serviceLine),
  ];
  if (verify !== undefined) {
    lines.push(`verify unix - - n - 1 ${commandOf('ours', verify, 'verify')}`);
  }
  const hosts = new Map<string, Record<Maker, string>>();
  for (const name of Object.keys(settings) as Name[]) {
    const first = hosts.size * 2 + 1;
    const pair = { ours: `${NETWORK}.${first}`, real: `${NETWORK}.${first + 1}` };
    hosts.set(name, pair);
    for (const maker of ['ours', 'real'] as const) {
      lines.push(smtpdLine(maker, pair[maker], processes, tagOf(maker, name), settings[name]));
    }
  }
  const mail = await startMailSystem(t, {
    only: lines,
    main: { ...MAIN, ...common },
    files: { ...FILES, ...files },
  });
  const pairs = [...hosts].map(([name, pair]) => [name, serverPair(mail, name, pair)]);
  return Object.fromEntries(pairs) as Record<Name, ServerPair>;
}

function serviceLine(line: string): string {
  const [name = '', ...rest] = line.split(' ');
  const [program = '', service = program] = name.split(':');
  return [service, ...rest].join(' ').replace('%', program);
}

const tagOf = (maker: Maker, name: string) => `${maker}-${name}`;

function smtpdLine(
  maker: Maker,
  host: string,
  processes: string,
  tag: string,
  setting: Parameters,
): string {
  const options = Object.entries({ ...setting, syslog_name: tag }).map(
    ([name, value]) => `-o { ${name} = ${value} }`,
  );
  const command = commandOf('ours', maker, 'smtpd');
  return `${host}:${PORT} inet n - n - ${processes} ${command} ${options.join(' ')}`;
}

function serverPair(mail: MailSystem, name: string, hosts: Record<Maker, string>): ServerPair {
  const play = async (maker: Maker, steps: readonly Step[], session: SessionOptions) => {
    const tag = ` ${tagOf(maker, name)}/smtpd[`;
    const linesOf = () =>
      mail
        .log()
        .split('\n')
        // What follows the last line end is a line that is still being written.
        .slice(0, -1)
        .filter((line) => line.includes(tag) && !line.includes(`[${FIRST_CLIENT}]`));
    const before = linesOf().length;
    const door = { port: PORT, host: hosts[maker], from: session.from };
    const replies = session.queued
      ? await converseQueued(door, steps)
      : await converse(door, steps, { early: session.early });
    const lines = await eventually(`the end of a session with ${tag}`, () => {
      const lines = linesOf().slice(before);
      return lines.some((line) => line.includes(': disconnect from ')) && lines;
    });
    const neutral = (text: string) => neutralIds(text).replaceAll(hosts[maker], 'HOST');
    return { replies: replies.map(neutral), log: lines.map(withoutPrefix).map(neutral) };
  };
  return {
    mail,
    services: { ours: `${hosts.ours}:${PORT}`, real: `${hosts.real}:${PORT}` },
    doors: { ours: { port: PORT, host: hosts.ours }, real: { port: PORT, host: hosts.real } },
    talk: (maker, steps, { from, early } = {}) =>
      converse({ port: PORT, host: hosts[maker], from }, steps, { early }),
    async converse(steps, session = {}) {
      const [ours, real] = await Promise.all([
        play('ours', steps, session),
        play('real', steps, session),
      ]);
      return { ours, real };
    },
  };
}

/** What the client says first is in the server's socket before the server has taken the client. */
async function converseQueued(door: Door, [opening, ...steps]: readonly Step[]): Promise<string[]> {
  assert.ok(typeof opening === 'object' && 'bytes' in opening);
  const first = new Dialogue({ ...door, from: FIRST_CLIENT });
  await first.expect(1);
  const dialogue = new Dialogue(door);
  try {
    await dialogue.say(opening.bytes);
    await first.close();
    await dialogue.expect(opening.replies);
    for (const step of steps) await dialogue.play(step);
  } finally {
    await first.close();
    await dialogue.close();
  }
  return dialogue.replies;
}

/** Without the time, the tag and the process. */
function withoutPrefix(line: string): string {
  return line.replace(/^.*?\/smtpd\[\d+\]: /, '');
}

/** Queue ids differ from run to run. */
function neutralIds(text: string): string {
  return text
    .replace(/queued as [0-9A-Z]{6,}/, 'queued as QID')
    .replace(/^(warning: )?[0-9A-F]{8,}(?=: )/, '$1QID')
    .replace(/^(connect from \S+\]:)\d+/, '$1PORT')
    .replace(/mail queue: \d+ bytes/, 'mail queue: N bytes');
}
