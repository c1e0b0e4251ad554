/**
 * Postfix's postscreen and ours side by side: in one mail system, behind one main.cf, each at ports of
 * its own, one for every setting that a test wants. Each hands its clients over to the other's smtpd,
 * has the other's dnsblog ask the lists, and the other's tlsproxy speak TLS.
 */
import type { TestContext } from 'node:test';
import { sleep } from '../../../lib/clock/clock.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { commandOf, type Maker } from '../../support/real-postfix.ts';
import { Dialogue, type Step } from '../smtpd/dialogue.ts';

/** main.cf parameters. */
export type Parameters = Readonly<Record<string, string>>;

/** Clients at 127.0.0.1 are ours. Postfix counts whole seconds: two of them are one, at least. */
const MAIN: Parameters = {
  mynetworks: '127.0.0.1/32',
  smtpd_peername_lookup: 'no',
  local_recipient_maps: '',
  postscreen_greet_wait: '2s',
  // Berkeley DB files of one process are no business of another.
  postscreen_cache_map: '',
};

const BEHIND = [
  'cleanup unix n - n - 0 cleanup',
  'qmgr unix n - n 300 1 qmgr',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'anvil unix - - n - 1 anvil',
  'discard unix - - n - - discard',
  'proxymap unix - - n - - proxymap',
  'tlsmgr unix - - n 1000? 1 tlsmgr',
];

const PORT = 2525;
/** Servers and clients have addresses that no other test has. */
const NETWORK = `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}`;
const MAKERS = ['ours', 'real'] as const;
const PROGRAMS = ['postscreen', 'tlsproxy'] as const;
type Program = (typeof PROGRAMS)[number];
/** Postfix counts whole seconds, and its log may be late. */
const SETTLE_MS = 10_000;

/** Nothing more came for so many looks at the log. */
const SETTLED_STEPS = 5;

/** A wait between steps, in milliseconds. */
export type ScreenStep = Step | { readonly waitMs: number } | { readonly expect: number };

/** What one postscreen made of a session, and the tlsproxy that it asked. */
export interface Reaction {
  readonly replies: readonly string[];
  readonly log: readonly string[];
  readonly tlsLog: readonly string[];
}

/** What a setting has for tlsproxy: it gets one of its own. */
const PROXY_PARAMETER = /^tls(?:proxy)?_(?!service_name)/;

export interface ScreenPair {
  readonly mail: MailSystem;
  /** Where each listens. */
  readonly hosts: Readonly<Record<Maker, string>>;
  /** What each has logged so far. */
  log(maker: Maker, program?: Program): string[];
  /** Plays the same session with both, and waits until their logs say as much. */
  converse(steps: readonly ScreenStep[], from: string): Promise<Record<Maker, Reaction>>;
  /** The same with clients that may be several. @param act returns the replies */
  compare(act: (door: Door) => Promise<string[]>): Promise<Record<Maker, Reaction>>;
}

/** Where a client comes from is its own affair. */
export interface Door {
  readonly port: number;
  readonly host: string;
}

/** Starts a pair for each setting, by its name. */
export async function startScreenPairs<Name extends string>(
  t: TestContext,
  settings: Readonly<Record<Name, Parameters>>,
  { files = {}, main = {} }: { readonly files?: Parameters; readonly main?: Parameters } = {},
): Promise<Readonly<Record<Name, ScreenPair>>> {
  const lines = [...BEHIND];
  for (const maker of MAKERS) {
    lines.push(`smtpd-${maker} pass - - n - - ${commandOf('ours', maker, 'smtpd')}`);
    lines.push(`dnsblog-${maker} unix - - n - 0 ${commandOf('ours', maker, 'dnsblog')}`);
  }
  const hosts = new Map<string, Record<Maker, string>>();
  for (const name of Object.keys(settings) as Name[]) {
    const first = hosts.size * 2 + 1;
    const pair = { ours: `${NETWORK}.${first}`, real: `${NETWORK}.${first + 1}` };
    hosts.set(name, pair);
    for (const maker of MAKERS) {
      const tag = tagOf(maker, name);
      lines.push(screenLine(maker, pair[maker], tag, settings[name]));
      if (hasProxy(settings[name])) lines.push(proxyLine(other(maker), tag, settings[name]));
    }
  }
  const mail = await startMailSystem(t, { only: lines, main: { ...MAIN, ...main }, files });
  const pairs = [...hosts].map(([name, pair]) => [name, screenPair(mail, name, pair)]);
  return Object.fromEntries(pairs) as Record<Name, ScreenPair>;
}

const tagOf = (maker: Maker, name: string) => `${maker}-${name.replaceAll(' ', '_')}`;
const other = (maker: Maker): Maker => (maker === 'ours' ? 'real' : 'ours');

const hasProxy = (setting: Parameters) =>
  Object.keys(setting).some((name) => PROXY_PARAMETER.test(name));

function proxyLine(maker: Maker, tag: string, setting: Parameters): string {
  const values = Object.entries(setting).filter(([name]) => PROXY_PARAMETER.test(name));
  const command = commandOf('ours', maker, 'tlsproxy');
  return `${tag}-tls unix - - n - 0 ${command} ${optionsOf({ ...Object.fromEntries(values), syslog_name: tag })}`;
}

const optionsOf = (values: Parameters) =>
  Object.entries(values)
    .map(([name, value]) => `-o { ${name} = ${value} }`)
    .join(' ');

function screenLine(maker: Maker, host: string, tag: string, setting: Parameters): string {
  const own = Object.entries(setting)
    .filter(([name]) => !PROXY_PARAMETER.test(name))
    .map(([name, value]) => [name, value.replaceAll('%', maker)]);
  const options = optionsOf({
    smtpd_service_name: `smtpd-${other(maker)}`,
    dnsblog_service_name: `dnsblog-${other(maker)}`,
    ...(hasProxy(setting) ? { tlsproxy_service_name: `${tag}-tls` } : {}),
    ...Object.fromEntries(own),
    syslog_name: tag,
  });
  return `${host}:${PORT} inet n - n - 1 ${commandOf('ours', maker, 'postscreen')} ${options}`;
}

function screenPair(mail: MailSystem, name: string, hosts: Record<Maker, string>): ScreenPair {
  const log = (maker: Maker, program: Program = 'postscreen') =>
    mail
      .log()
      .split('\n')
      // What follows the last line end is a line that is still being written.
      .slice(0, -1)
      .filter((line) => line.includes(` ${tagOf(maker, name)}/${program}[`))
      .map((line) => line.replace(/^.*?\/[a-z]+\[\d+\]: /, ''));
  const pair: ScreenPair = {
    mail,
    hosts,
    log,
    converse: (steps, from) => pair.compare((door) => play({ ...door, from }, steps)),
    async compare(act) {
      const count = (maker: Maker, program: Program) => log(maker, program).length;
      const before = {
        postscreen: { ours: count('ours', 'postscreen'), real: count('real', 'postscreen') },
        tlsproxy: { ours: count('ours', 'tlsproxy'), real: count('real', 'tlsproxy') },
      };
      const linesOf = (maker: Maker, program: Program = 'postscreen') =>
        log(maker, program).slice(before[program][maker]);
      const [ours, real] = await Promise.all(
        MAKERS.map((maker) => act({ port: PORT, host: hosts[maker] })),
      );
      // tlsproxy may find out later than postscreen.
      const isOver = (maker: Maker) =>
        linesOf(maker, 'tlsproxy').at(-1)?.startsWith('DISCONNECT') ?? true;
      let settled = 0;
      let known = '';
      const even = () => {
        const [ours = [], theirs = []] = MAKERS.map((maker) =>
          PROGRAMS.map((program) => linesOf(maker, program).length),
        );
        const [all = 0] = ours;
        const isEven = ours.join() === theirs.join() && ours.join() === known && all > 0;
        settled = isEven && MAKERS.every(isOver) ? settled + 1 : 0;
        known = ours.join();
        return settled === SETTLED_STEPS;
      };
      await eventually('logs of the same length', even, SETTLE_MS).catch(() => {});
      const neutral = (maker: Maker) => (text: string) =>
        text
          .replaceAll(hosts[maker], 'HOST')
          .replaceAll(`/${maker}-`, '/MAKER-')
          .replaceAll(` private/${maker}-`, ' private/MAKER-')
          .replace(/\b[3-6]\d{4}\b/g, 'PORT')
          // What errno has happened to be.
          .replace(/(attribute from private\/\S+ service): .*/, '$1')
          .replace(/^((?:PREGREET \d+|HANGUP) after) \d+(?:\.\d+)?/, '$1 SECONDS');
      return {
        ours: reaction(ours, linesOf('ours'), linesOf('ours', 'tlsproxy'), neutral('ours')),
        real: reaction(real, linesOf('real'), linesOf('real', 'tlsproxy'), neutral('real')),
      };
    },
  };
  return pair;
}

function reaction(
  replies: readonly string[] = [],
  log: readonly string[],
  tlsLog: readonly string[],
  neutral: (text: string) => string,
): Reaction {
  return {
    replies: replies.map(neutral),
    log: log.map(neutral),
    tlsLog: tlsLog.map(neutral),
  };
}

/** Plays a script, from the first byte on. @returns the replies */
export async function play(
  door: Door & { readonly from: string },
  steps: readonly ScreenStep[],
): Promise<string[]> {
  const dialogue = new Dialogue(door);
  try {
    for (const step of steps) {
      if (typeof step === 'object' && 'waitMs' in step) await sleep(step.waitMs);
      else if (typeof step === 'object' && 'expect' in step) await dialogue.expect(step.expect);
      else await dialogue.play(step);
    }
  } finally {
    await dialogue.close();
  }
  return dialogue.heard;
}
