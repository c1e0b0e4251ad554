/**
 * The same sessions with Postfix's postscreen and ours. Postfix asks port 53 of what resolv.conf names,
 * so this runs in a network of its own, started by itself.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askList } from '../../../lib/clients/dnsblog.ts';
import { now, sleep } from '../../../lib/clock/clock.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';
import { startDnsServer, type Zone } from '../../support/dns-server.ts';
import { BUILD } from '../../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { send } from '../smtpd/dialogue.ts';
import {
  type Door,
  type Parameters,
  play,
  type ScreenPair,
  type ScreenStep,
} from './screen-pair.ts';
import { compareScreens, type Sessions, type Setting, startScreens } from './screen-settings.ts';

const MARK = 'POSTHASTE_TEST_NETWORK';
const RESOLV_CONF = 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n';

/** Addresses of clients, and what lists say of them. */
const ZONE: Zone = {
  '2.0.0.127.bad.test': { A: ['127.0.0.2', '127.0.0.9'] },
  '2.0.0.127.worse.test': { A: ['127.0.0.4'] },
  '3.0.0.127.bad.test': { A: ['127.0.0.20'] },
  '4.0.0.127.good.test': { A: ['127.0.0.2'], ttl: 100 },
  '4.0.0.127.bad.test': { A: ['127.0.0.2'] },
  '5.0.0.127.broken.test': { rcode: 'SERVFAIL' },
  '6.0.0.127.bad.test': { A: ['127.0.0.2'], ttl: 140 },
  '6.0.0.127.good.test': { A: ['127.0.0.20'], ttl: 500 },
  '7.0.0.127.good.test': { A: ['127.0.0.2'], ttl: 100_000 },
  '7.0.0.127.bad.test': { A: ['127.0.0.20'], ttl: 50_000 },
  '2.0.0.127.silent.test': { silent: true },
  '9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.six.test': { A: ['127.0.0.2'] },
};

const GREETING: ScreenStep = { expect: 1 };
const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const MAIL = [GREETING, EHLO, FROM, TO, 'QUIT', 'await end'] as const;
const EARLY = [send(`${EHLO}\r\n`), FROM, TO, 'QUIT', 'await end'] as const;
/** The same where that is nothing bad: the greeting comes, and then the answer. */
const IGNORED = [send(`${EHLO}\r\n`, 2), FROM, TO, 'QUIT', 'await end'] as const;
const DEEP = {
  postscreen_pipelining_enable: 'yes',
  postscreen_non_smtp_command_enable: 'yes',
  postscreen_bare_newline_enable: 'yes',
};
const deep = (action: string): Parameters => ({
  ...DEEP,
  postscreen_pipelining_action: action,
  postscreen_non_smtp_command_action: action,
  postscreen_bare_newline_action: action,
  postscreen_greet_action: action,
});
const LISTS = {
  postscreen_dnsbl_sites: 'bad.test=127.0.0.[1..3;9]*2, worse.test*3, good.test*-3, broken.test',
  postscreen_dnsbl_threshold: '2',
  postscreen_dnsbl_reply_map: 'texthash:$config_directory/list_names',
};

const TOGETHER = [GREETING, EHLO, send(`${FROM}\r\n${TO}\r\n`, 2), 'QUIT', 'await end'] as const;
const HEADER = [GREETING, EHLO, 'To: you', 'Subject: x', FROM, TO, 'QUIT', 'await end'] as const;

const failures = (early: readonly ScreenStep[] = EARLY): Sessions => ({
  'an early talker': early,
  'nothing wrong': MAIL,
  'commands that come together': [
    GREETING,
    EHLO,
    send(`${FROM}\r\n${TO}\r\nQUIT\r\n`, 3),
    'await end',
  ],
  'a header': [GREETING, 'Subject: hello', TO, 'QUIT', 'await end'],
  'a forbidden command': [GREETING, EHLO, 'GET / HTTP/1.0', FROM, TO, 'QUIT', 'await end'],
  'a bare line feed': [GREETING, send(`${EHLO}\n`), send(`${FROM}\n`), TO, 'QUIT', 'await end'],
  'all of it': [
    GREETING,
    send(`${EHLO}\nSubject: hello\r\n`, 2),
    FROM,
    TO,
    send(`NOOP\nNOOP\n`, 2),
    'To: me',
    'RSET',
    FROM,
    TO,
    'QUIT',
    'await end',
  ],
});

const SETTINGS: Readonly<Record<string, Setting>> = {
  usual: {
    main: {},
    sessions: {
      '127.0.0.1': MAIL,
      'an early talker': IGNORED,
      'a stranger': MAIL,
      'gone at once': [{ waitMs: 100 }],
    },
  },
  'access list': {
    main: {
      postscreen_access_list: 'permit_mynetworks, cidr:$config_directory/access',
      postscreen_denylist_action: 'enforce',
      postscreen_reject_footer:
        '\\c; see http://lab.test/\\nyou are $client ($client_address $client_port) at $server_name, $sender $recipient $helo_name $unknown',
    },
    sessions: {
      '127.0.0.1': MAIL,
      '127.0.0.2': MAIL,
      '127.0.0.3': MAIL,
      '127.0.0.4': MAIL,
      '127.0.0.5': MAIL,
      '127.0.0.6': MAIL,
      '127.0.0.2 early': IGNORED,
      '127.0.0.2 together': TOGETHER,
      '127.0.0.2 header': HEADER,
    },
  },
  'access list, drop': {
    main: {
      postscreen_access_list: 'cidr:$config_directory/access PERMIT',
      postscreen_denylist_action: 'drop',
      respectful_logging: 'no',
      soft_bounce: 'yes',
    },
    sessions: { '127.0.0.2': [GREETING, 'await end'], '127.0.0.9': MAIL },
  },
  'old words': {
    main: {
      compatibility_level: '2',
      postscreen_access_list: 'permit_mynetworks, cidr:$config_directory/access',
      postscreen_allowlist_interfaces: '!127.0.0.0/8, static:all',
    },
    sessions: { '127.0.0.1': MAIL, '127.0.0.2': MAIL },
  },
  enforce: { main: deep('enforce'), sessions: failures() },
  drop: { main: deep('drop'), sessions: failures() },
  ignore: { main: deep('ignore'), sessions: failures(IGNORED) },
  'one deep test': {
    main: {
      postscreen_bare_newline_enable: 'yes',
      soft_bounce: 'yes',
      postscreen_bare_newline_action: 'enforce',
    },
    sessions: failures(IGNORED),
  },
  'early only': {
    main: { postscreen_greet_action: 'enforce' },
    sessions: {
      ...failures(),
      'early, and together': [
        send(`${EHLO}\r\n`),
        send(`${FROM}\r\n${TO}\r\n`, 2),
        'QUIT',
        'await end',
      ],
      'early, and a bare line feed': [send(`${EHLO}\n`), FROM, TO, 'QUIT', 'await end'],
      'early, and a header': [send(`${EHLO}\r\n`), 'To: you', 'await end'],
    },
  },
  'no banner': {
    main: { ...DEEP, postscreen_greet_banner: '' },
    sessions: { 'an early talker': IGNORED, 'nothing wrong': MAIL },
  },
  commands: {
    main: {
      ...DEEP,
      postscreen_greet_banner: '',
      postscreen_helo_required: 'yes',
      postscreen_command_filter: 'regexp:$config_directory/filter',
    },
    sessions: {
      'in no order': [
        GREETING,
        'MAIL FROM:<a@b.test>',
        'ETRN lab.test',
        'HELO',
        'EHLO',
        '',
        'helo one two',
        'RCPT TO:<root@lab.test>',
        'MAIL',
        'MAIL TO:<x>',
        'MAIL FROM:',
        'MAIL FROM:<>',
        'MAIL FROM:<a@b.test>',
        'RCPT',
        'RCPT FROM:<x>',
        'RCPT TO:',
        'RCPT TO:<>',
        'QUIT',
        'await end',
      ],
      addresses: [
        GREETING,
        EHLO,
        'mail from: <"a b"@c.test> SIZE=1',
        'rcpt to: plain@lab.test NOTIFY=NEVER',
        'RCPT TO:<open@lab.test',
        'RCPT TO:<a\\>b@lab.test>',
        'RCPT TO:<"quo>te@lab.test>',
        'RCPT TO : <x@lab.test>',
        'RCPT TO:<\xc3\xa9@lab.test>',
        'RCPT TO:<tab\there@lab.test>',
        'RCPT TO:<\xe9@lab.test>',
        'RCPT TO:<nul\0here@lab.test>',
        'RSET more',
        'MAIL FROM:a b',
        TO,
        'VRFY',
        'VRFY root',
        'ETRN',
        'ETRN lab.test',
        'NOOP x',
        'QUIT now',
        'await end',
      ],
      unknown: [
        GREETING,
        'AUTH PLAIN',
        'XCLIENT NAME=x',
        'XFORWARD NAME=x',
        'STARTTLS',
        'STARTTLS x',
        'HELP',
        'FILTERED by us',
        'QUIT',
        'await end',
      ],
      DATA: [GREETING, EHLO, FROM, 'DATA', 'await end'],
      'DATA without MAIL': [GREETING, EHLO, 'DATA', 'await end'],
      'DATA and more': [GREETING, EHLO, FROM, 'DATA x', 'await end'],
      BDAT: [GREETING, EHLO, FROM, send('BDAT 5\r\nhello'), 'await end'],
      'BDAT without MAIL': [GREETING, EHLO, 'BDAT 0 LAST', 'await end'],
      'BDAT, nonsense': [GREETING, EHLO, FROM, 'BDAT x LAST', 'await end'],
      'BDAT, more nonsense': [GREETING, EHLO, FROM, 'BDAT 1 FIRST', 'await end'],
      'BDAT, nothing': [GREETING, EHLO, FROM, 'BDAT', 'await end'],
      'gone in the middle': [GREETING, EHLO, FROM, TO],
    },
  },
  limits: {
    main: {
      ...DEEP,
      postscreen_greet_banner: '',
      postscreen_command_count_limit: '3',
      postscreen_command_time_limit: '2s',
      line_length_limit: '512',
      postscreen_disable_vrfy_command: 'yes',
      message_size_limit: '0',
      smtputf8_enable: 'no',
      postscreen_discard_ehlo_keywords: 'dsn, etrn',
      disable_vrfy_command: 'no',
      postscreen_discard_ehlo_keyword_address_maps: 'texthash:$config_directory/keywords',
    },
    sessions: {
      'too many commands': [GREETING, 'NOOP', 'NOOP', 'NOOP', 'NOOP', 'await end'],
      'QUIT is not too many': [GREETING, 'NOOP', 'NOOP', 'NOOP', 'QUIT', 'await end'],
      'too long': [GREETING, EHLO, `NOOP ${'x'.repeat(507)}`, 'await end'],
      'just long enough': [
        GREETING,
        EHLO,
        `NOOP ${'x'.repeat(506)}`,
        'VRFY x',
        'QUIT',
        'await end',
      ],
      endless: [GREETING, send('x'.repeat(5000)), 'await end'],
      'too slow': [GREETING, EHLO, send('NO', 0), 'await end'],
      '127.0.0.77': [GREETING, EHLO, 'QUIT', 'await end'],
      '127.0.0.78': [GREETING, EHLO, 'QUIT', 'await end'],
    },
  },
  lists: {
    main: { ...LISTS, postscreen_dnsbl_action: 'enforce' },
    sessions: {
      '127.0.0.2': MAIL,
      '127.0.0.3': MAIL,
      '127.0.0.4': MAIL,
      '127.0.0.5': MAIL,
      '127.0.0.2 early': IGNORED,
      '127.0.0.2 together': TOGETHER,
      '127.0.0.2 header': HEADER,
    },
  },
  'lists, drop': {
    main: { ...LISTS, postscreen_dnsbl_action: 'drop', soft_bounce: 'yes' },
    sessions: { '127.0.0.2': [GREETING, 'await end'] },
  },
  'lists, ignore': {
    main: { ...LISTS, ...DEEP, postscreen_dnsbl_allowlist_threshold: '-1' },
    sessions: {
      '127.0.0.2': MAIL,
      '127.0.0.3': MAIL,
      '127.0.0.4': MAIL,
    },
  },
  'with TLS': {
    main: {
      postscreen_tls_security_level: 'encrypt',
      postscreen_discard_ehlo_keywords: 'starttls',
      postscreen_access_list: 'cidr:$config_directory/access',
      postscreen_denylist_action: 'enforce',
    },
    sessions: {
      '127.0.0.2': [
        GREETING,
        EHLO,
        FROM,
        TO,
        ...['NOOP', 'RSET', 'DATA', 'VRFY x', 'HELO x', 'STARTTLS', 'STARTTLS x', 'QUIT'],
        'await end',
      ],
    },
  },
  interfaces: {
    main: { postscreen_allowlist_interfaces: '!127.0.0.0/8, static:all' },
    sessions: {
      'a stranger': MAIL,
      '127.0.0.1': MAIL,
      'an early talker': IGNORED,
      together: TOGETHER,
      header: HEADER,
    },
  },
  'behind a proxy': {
    main: {
      postscreen_upstream_proxy_protocol: 'haproxy',
      postscreen_upstream_proxy_timeout: '2s',
      postscreen_access_list: 'permit_mynetworks, cidr:$config_directory/access',
    },
    sessions: {
      'one of us': [
        send(`PROXY TCP4 127.0.0.1 127.0.0.9 5000 25\r\n`),
        EHLO,
        'XCLIENT',
        'QUIT',
        'await end',
      ],
      'an early talker': [
        send(`PROXY TCP4 192.0.2.4 192.0.2.5 50000 25\r\n${EHLO}\r\n`, 2),
        FROM,
        TO,
        'QUIT',
        'await end',
      ],
      'no header': [send(`${EHLO}\r\n`), 'await end'],
      nothing: ['await end'],
      itself: [send('\r\n\r\n\0\r\nQUIT\n\x20\0\0\0'), EHLO, 'QUIT', 'await end'],
    },
  },
};

/** All of these answer: what is not listed without a time may be remembered for as long as Postfix happens to think. */
const FEW_LISTS = { postscreen_dnsbl_sites: 'bad.test=127.0.0.[1..3;9]*2, good.test=127.0.0.2*-3' };
const CACHE = (name: string) => ({ postscreen_cache_map: `btree:$data_directory/%-${name}` });
const pause = (waitMs: number): ScreenStep => ({ waitMs });
const from =
  (client: string, ...steps: readonly ScreenStep[]) =>
  (door: Door) =>
    play({ ...door, from: client }, steps);
/** Clients that come one some time after the other. */
const meanwhile =
  (delayMs: number, ...clients: readonly ((door: Door) => Promise<string[]>)[]) =>
  async (door: Door) => {
    const replies = clients.map(async (client, at) => {
      await sleep(at * delayMs);
      return await client(door);
    });
    return (await Promise.all(replies)).flat();
  };
/** Postfix counts whole seconds. */
const onTheSecond = (act: (door: Door) => Promise<string[]>) => async (door: Door) => {
  await sleep(1050 - (now() % 1000));
  return await act(door);
};
const many = (count: number, ...steps: readonly ScreenStep[]) =>
  meanwhile(30, ...Array.from({ length: count }, (_, at) => from(`127.0.2.${at + 1}`, ...steps)));

/** What is about more than one session of a client. */
const CACHES: Readonly<Record<string, Setting>> = {
  early: {
    main: {
      ...CACHE('early'),
      ...LISTS,
      ...FEW_LISTS,
      postscreen_dnsbl_threshold: '2',
      postscreen_dnsbl_action: 'enforce',
      postscreen_greet_action: 'enforce',
    },
    sessions: {
      '127.0.3.1 new': MAIL,
      '127.0.3.1 again': MAIL,
      '127.0.3.2 early': EARLY,
      '127.0.3.2 again': MAIL,
      '127.0.3.2 and again': MAIL,
      '127.0.0.2 listed': MAIL,
      '127.0.0.4 well known': MAIL,
      '127.0.0.4 again': MAIL,
      '127.0.3.3 gone': [pause(100)],
    },
    scenes: {
      'two at once': meanwhile(300, from('127.0.3.4', ...MAIL), from('127.0.3.4', ...MAIL)),
    },
  },
  overlap: {
    main: { ...CACHE('overlap'), postscreen_greet_wait: '2s' },
    sessions: { '127.0.3.6': [GREETING, 'QUIT'] },
    scenes: {
      'a third while a second waits': onTheSecond(
        meanwhile(1250, ...[1, 2, 3].map(() => from('127.0.3.5', GREETING, pause(900), 'QUIT'))),
      ),
    },
  },
  deep: {
    main: {
      ...CACHE('deep'),
      ...DEEP,
      postscreen_greet_ttl: '2000',
      postscreen_pipelining_action: 'ignore',
      postscreen_pipelining_ttl: '3000',
      postscreen_bare_newline_ttl: '4000',
      postscreen_non_smtp_command_ttl: '1000',
    },
    sessions: {
      '127.0.3.1 new': MAIL,
      '127.0.3.1 again': MAIL,
      '127.0.3.2 not far': [GREETING, EHLO, 'QUIT', 'await end'],
      '127.0.3.2 again': MAIL,
      '127.0.3.2 and again': MAIL,
      '127.0.3.3 together': TOGETHER,
      '127.0.3.3 again': MAIL,
      '127.0.3.4 gone': [GREETING, EHLO, FROM, TO],
      '127.0.3.4 again': MAIL,
      '127.0.3.5 a header after RCPT': [GREETING, EHLO, FROM, TO, 'Subject: x', 'await end'],
      '127.0.3.5 again': MAIL,
    },
  },
  listed: {
    main: {
      ...CACHE('listed'),
      ...LISTS,
      ...FEW_LISTS,
      postscreen_dnsbl_threshold: '3',
      ...DEEP,
      postscreen_dnsbl_allowlist_threshold: '-1',
      postscreen_dnsbl_min_ttl: '70',
      postscreen_dnsbl_max_ttl: '2000s',
    },
    sessions: {
      '127.0.0.4 well known': MAIL,
      '127.0.0.4 again': MAIL,
      '127.0.0.3 not': MAIL,
      '127.0.0.3 again': MAIL,
      '127.0.0.6 lightly': MAIL,
      '127.0.0.7 for long': MAIL,
    },
  },
};

const CROWDS: Readonly<Record<string, Setting>> = {
  'a crowd': {
    main: {
      postscreen_client_connection_count_limit: '2',
      postscreen_pre_queue_limit: '10',
      // All of them are here before the first has waited.
      postscreen_greet_wait: '${stress?{3}:{4}}s',
    },
    scenes: {
      'one client too often': meanwhile(
        100,
        ...[1, 2, 3].map(() => from('127.0.3.9', GREETING, 'QUIT')),
      ),
      'clients too many': many(12, GREETING, pause(200), 'QUIT'),
      'and then few': from('127.0.3.10', GREETING, 'QUIT'),
    },
  },
  'no server': {
    main: { smtpd_service_name: 'missing' },
    sessions: { '127.0.0.1': [GREETING, 'await end'], 'a stranger': MAIL },
  },
  'busy servers': {
    main: { smtpd_service_name: 'stuck', postscreen_post_queue_limit: '5' },
    scenes: {
      'a sixth client': meanwhile(
        60,
        ...[1, 2, 3, 4, 5].map(() => from('127.0.0.1', pause(900))),
        from('127.0.0.1', { expect: 1 }, 'await end'),
      ),
    },
  },
  'no list server': {
    main: { ...LISTS, dnsblog_service_name: 'missing' },
    sessions: { 'a stranger': MAIL },
  },
  'slow lists': {
    main: { postscreen_dnsbl_sites: 'silent.test', postscreen_dnsbl_timeout: '2s' },
    sessions: { '127.0.0.2': MAIL },
  },
};

Object.assign(SETTINGS, CACHES, CROWDS);

const FILES: Parameters = {
  access:
    '127.0.0.2 reject\n127.0.0.3 permit\n127.0.0.4 dunno\n127.0.0.5 nonsense\n127.0.0.6 cidr:/x\n',
  list_names: 'bad.test shown.test\n',
  filter: '/^FILTERED by us/ NOOP\n/^(QUIT) now/ $1\n',
  keywords: '127.0.0.77 size, 8bitmime, silent-discard\n127.0.0.78 vrfy, size, odd\n',
};

if (process.env[MARK] === undefined) {
  const why = whyNoPostfix() || (canUnshare() ? false : 'needs unshare(1)');
  test('postscreen does as Postfix does', { skip: why, timeout: 300_000 }, (t) => {
    const file = join(freshDirectory(t), 'resolv.conf');
    writeFileSync(file, RESOLV_CONF);
    const script = `ip link set lo up && mount --bind ${file} /etc/resolv.conf && exec "$0" "$@"`;
    const node = [process.execPath, '--enable-source-maps', '--test', __filename];
    const environment: NodeJS.ProcessEnv = { ...process.env, [MARK]: 'yes' };
    // Set by the runner that runs us, it would keep the runner below from running.
    delete environment['NODE_TEST_CONTEXT'];
    const run = spawnSync('unshare', ['-mn', 'sh', '-c', script, ...node], {
      env: environment,
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  });
} else {
  test('sessions', { concurrency: 20 }, async (t) => {
    await startDnsServer(t, ZONE, 53);
    const pairs = await startScreens(t, SETTINGS, { files: FILES });
    const [first] = Object.values(pairs);
    if (first !== undefined) {
      await compareListAnswers(first.mail.queue);
      await startStuckServer(t, join(first.mail.queue, 'private/stuck'));
    }
    await compareScreens(t, SETTINGS, pairs);
    first?.mail.stop();
    await t.test('what is remembered', () => {
      for (const name of Object.keys(CACHES)) compareCaches(pairs[name] as ScreenPair, name);
    });
  });
}

function canUnshare(): boolean {
  return spawnSync('unshare', ['-mn', 'true']).status === 0;
}

/** A server that takes nobody. */
async function startStuckServer(t: TestContext, path: string): Promise<void> {
  const waiting: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => waiting.push(socket));
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o666);
  atEnd(t, () => {
    for (const socket of waiting) socket.destroy();
    server.close();
  });
}

/** dnsblog is asked by whoever comes; all of them are running then, too. */
async function compareListAnswers(queue: string): Promise<void> {
  const asked: readonly (readonly [domain: string, client: string])[] = [
    ['bad.test', '127.0.0.2'],
    ['bad.test', '127.0.0.3'],
    ['bad.test', '127.0.0.99'],
    ['good.test', '127.0.0.4'],
    ['broken.test', '127.0.0.5'],
  ];
  for (const [domain, client] of asked) {
    const [ours, real] = await Promise.all(
      ['ours', 'real'].map((maker) =>
        askList(domain, client, {
          socketPath: join(queue, `private/dnsblog-${maker}`),
          timeoutMs: 20_000,
        }),
      ),
    );
    assert.deepEqual(ours, real, `${domain} ${client}`);
  }
}

/** Two caches are alike when their times are, but for the seconds that one was later. */
function compareCaches(pair: ScreenPair, name: string): void {
  const [ours, real] = (['ours', 'real'] as const).map((maker) => remembered(pair, maker, name));
  const stamps = /\b\d{9,}\b/g;
  const withoutTimes = (text = '') => text.replace(stamps, 'TIME');
  assert.equal(withoutTimes(ours), withoutTimes(real));
  const times = (text = '') => [...text.matchAll(stamps)].map(([stamp]) => Number(stamp));
  const others = times(real);
  for (const [at, time] of times(ours).entries()) {
    const apart = Math.abs(time - (others[at] ?? 0));
    assert.ok(apart <= LATE_SECONDS, `${name}: ${apart} seconds apart in\n${ours}\n${real}`);
  }
}

const LATE_SECONDS = 5;

function remembered({ mail }: ScreenPair, maker: Maker, name: string): string {
  const postmap = maker === 'ours' ? join(BUILD, 'bin/postmap') : '/usr/sbin/postmap';
  const table = `btree:${mail.directory}/data/${maker}-${name}`;
  const { stdout, stderr } = spawnSync(postmap, ['-c', mail.config, '-s', table], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  const lines = stdout.split('\n').filter((line) => !line.startsWith('_LAST'));
  return lines.sort().join('\n');
}
