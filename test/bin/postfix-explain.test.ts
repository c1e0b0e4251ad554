/** postfix explain says beforehand what smtpd answers: ours, and Postfix's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findOut } from '../../bin/postfix/explain.ts';
import { parseExplainRequest } from '../../bin/postfix/explain-request.ts';
import { exitStatus, formatExplained } from '../../bin/postfix/explain-text.ts';
import { openLog } from '../../lib/log/log.ts';
import { type Step, send } from '../services/smtpd/dialogue.ts';
import { type Parameters, startServerPairs } from '../services/smtpd/server-pair.ts';
import { freshDirectory } from '../support/directories.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { BUILD } from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';

const LOG = openLog({ program: 'postfix', to: 'terminal' });

/** One client and one message; whatever is left out is the usual. */
interface Case {
  readonly client?: string;
  readonly name?: string;
  /** '': none. */
  readonly helo?: string;
  readonly from?: string;
  readonly to?: readonly string[];
}

const STRANGER = '192.0.2.77';
const OURS = '127.0.0.1';
const to = (...recipients: readonly string[]): Case => ({ to: recipients });
const from = (sender: string, rest: Case = {}): Case => ({ from: sender, ...rest });

const FACTS: Readonly<Record<string, { main: Parameters; cases: readonly Case[] }>> = {
  defaults: {
    main: {},
    cases: [
      to('root@lab.test'),
      to('nobody-here@lab.test'),
      to('ann@far.test'),
      { client: OURS, to: ['ann@far.test'] },
      to('known@relay.test'),
      to('unknown@relay.test'),
      to('known@alias.test'),
      to('unknown@alias.test'),
      to('known@box.test'),
      to('unknown@box.test'),
      to('ann%far.test@lab.test'),
      to('"ann@far.test"@lab.test'),
      to('@lab.test:ann@far.test'),
      to('far.test!ann'),
      to('root+tag@lab.test'),
      to('postmaster'),
      to('ann@bad.far.test'),
      { client: OURS, to: ['ann@bad.far.test'] },
      { client: OURS, to: ['ann@later.far.test'] },
      { client: OURS, to: ['closed@lab.test'] },
      { client: OURS, to: ['moved@lab.test'] },
      to('renamed@lab.test'),
      to('a b@lab.test'),
      to('ann@-bad-'),
      to('root@[127.0.0.1]'),
      to('root@lab.test', 'ann@far.test'),
      from('', to('root@lab.test')),
      from('ann@'),
      from('ann'),
      from('@bad', to('root@lab.test')),
      { helo: '', to: ['root@lab.test'] },
    ],
  },
  lists: {
    main: {
      smtpd_helo_required: 'yes',
      smtpd_peername_lookup: 'yes',
      inet_protocols: 'all',
      smtpd_client_restrictions:
        'check_client_access inline:{{192.0.2.9=REJECT go away} {good.test=OK} {192.0.3=450 later} {198.51=DEFER_IF_PERMIT}}',
      smtpd_helo_restrictions:
        'reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, check_helo_access inline:{{liar.test=REJECT}}',
      smtpd_sender_restrictions:
        'reject_non_fqdn_sender, check_sender_access inline:{{bad.test=REJECT 5.1.8 no} {<>=DUNNO} {defer@ok.test=DEFER}}',
      smtpd_recipient_restrictions:
        'reject_non_fqdn_recipient, check_recipient_access inline:{{class@lab.test=strict} {hang@lab.test=HANGUP} {hold@lab.test=HOLD}}',
      smtpd_data_restrictions: 'reject_multi_recipient_bounce',
      smtpd_end_of_data_restrictions:
        'check_sender_access inline:{{late@ok.test=REJECT after all}}',
      smtpd_restriction_classes: 'strict',
      strict: 'permit_mynetworks, reject',
    },
    cases: [
      to('root@lab.test'),
      { client: '192.0.2.9', to: ['root@lab.test'] },
      { client: '192.0.3.9', to: ['root@lab.test'] },
      { client: '198.51.100.9', to: ['root@lab.test'] },
      { client: '198.51.100.9', to: ['ann@far.test'] },
      { client: '192.0.2.9', name: 'mx.good.test', to: ['root@lab.test'] },
      { helo: '', to: ['root@lab.test'] },
      { helo: 'short', to: ['root@lab.test'] },
      { helo: 'a..b', to: ['root@lab.test'] },
      { helo: 'liar.test', to: ['root@lab.test'] },
      { helo: '[192.0.2.7]', to: ['root@lab.test'] },
      { helo: '[bogus]', to: ['root@lab.test'] },
      from('x@bad.test'),
      from('x@sub.bad.test'),
      from('defer@ok.test'),
      from('x@short'),
      from('', to('root@lab.test', 'postmaster')),
      from('', to('root@lab.test', 'root+2@lab.test')),
      from('late@ok.test'),
      to('root'),
      to('root@short'),
      to('class@lab.test'),
      { client: OURS, to: ['class@lab.test'] },
      { client: '2001:db8::7', to: ['root@lab.test'] },
      { client: '2001:db8::7', to: ['ann@far.test'] },
      to('hang@lab.test'),
      to('hold@lab.test'),
    ],
  },
  early: {
    main: {
      smtpd_delay_reject: 'no',
      smtpd_client_restrictions: 'check_client_access inline:{{192.0.2.9=REJECT go away}}',
      smtpd_helo_restrictions: 'permit_mynetworks, check_helo_access inline:{{liar.test=REJECT}}',
      smtpd_sender_restrictions: 'check_sender_access inline:{{bad.test=450 4.1.8 wait}}',
      smtpd_relay_restrictions: 'permit_mynetworks, defer_unauth_destination',
      soft_bounce: 'no',
    },
    cases: [
      to('root@lab.test'),
      { client: '192.0.2.9', to: ['root@lab.test'] },
      { helo: 'liar.test', to: ['root@lab.test'] },
      { client: OURS, helo: 'liar.test', to: ['root@lab.test'] },
      from('x@bad.test'),
      to('ann@far.test'),
    ],
  },
  soft: {
    main: {
      soft_bounce: 'yes',
      smtpd_recipient_restrictions:
        'warn_if_reject check_recipient_access static:REJECT, reject_unlisted_recipient',
      smtpd_reject_footer: '\\c. Call us',
      strict_rfc821_envelopes: 'no',
      allow_untrusted_routing: 'yes',
      smtpd_sender_restrictions: 'no_such_restriction',
    },
    cases: [to('root@lab.test'), to('ann@far.test'), to('nobody@lab.test')],
  },
};

const usual = ({
  client = STRANGER,
  name,
  helo = 'client.test',
  from: sender = 'ann@client.test',
  to: recipients = ['root@lab.test'],
}: Case) => ({ client, name, helo, sender, recipients });

function stepsOf(given: Case): readonly Step[] {
  const { client, name = '[UNAVAILABLE]', helo, sender, recipients } = usual(given);
  const address = client.includes(':') ? `IPV6:${client}` : client;
  return [
    `XCLIENT ADDR=${address} NAME=${name} REVERSE_NAME=${name}`,
    ...(helo === '' ? [] : [`EHLO ${helo}`]),
    `MAIL FROM:<${sender}>`,
    ...recipients.map((recipient) => `RCPT TO:<${recipient}>`),
    'DATA',
    send('.\r\n', 1),
  ];
}

function argumentsOf(given: Case): string[] {
  const { client, name = 'unknown', helo, sender, recipients } = usual(given);
  return [
    ...['--client', client, '--name', name, '--helo', helo, '--from', sender],
    ...recipients.flatMap((recipient) => ['--to', recipient]),
  ];
}

/** The first reply that refuses. What the client says after that does not matter. */
function verdictOf(replies: readonly string[], given: Case): string {
  const count = 3 + (usual(given).helo === '' ? 0 : 1) + usual(given).recipients.length;
  const asked = replies.slice(1, count);
  const refusal = asked.find((reply) => /^[45]/.test(reply));
  if (refusal !== undefined) return refusal;
  return asked.length < count - 1 ? 'hung up' : verdictAtEnd(replies.slice(count));
}

const verdictAtEnd = (replies: readonly string[]) =>
  replies.find((reply) => /^[45]/.test(reply)) ?? 'accepted';

test('postfix explain foretells what smtpd says', { skip: whyNoPostfix() }, async (t) => {
  const parameters: Record<string, Parameters> = {};
  for (const [name, { main }] of Object.entries(FACTS)) {
    parameters[name] = { ...main, smtpd_authorized_xclient_hosts: '127.0.0.0/8' };
  }
  const pairs = await startServerPairs(t, parameters);
  for (const [setting, { cases }] of Object.entries(FACTS)) {
    const pair = pairs[setting];
    assert(pair);
    for (const given of cases) {
      await t.test(`${setting}: ${JSON.stringify(given)}`, async () => {
        const said = await pair.converse(stepsOf(given));
        const request = parseExplainRequest([
          ...argumentsOf(given),
          '--service',
          pair.services.ours,
        ]);
        const found = await findOut(request, pair.mail.config, LOG);
        const refusal = found.exchanges.find(({ reply }) => /^[45]|^$/.test(reply));
        const foretold = refusal === undefined ? 'accepted' : refusal.reply || 'hung up';
        assert.deepEqual(
          [verdictOf(said.ours.replies, given), foretold],
          [verdictOf(said.real.replies, given), verdictOf(said.real.replies, given)],
        );
      });
    }
  }
});

/** A configuration of its own: no queue, no running system. */
function writeConfiguration(t: TestContext, main: Parameters, files: Parameters = {}): string {
  const directory = freshDirectory(t);
  const config = join(directory, 'etc');
  mkdirSync(config, { mode: 0o755 });
  const all = {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'nowhere'),
    myhostname: 'mx.lab.test',
    mydestination: 'lab.test',
    mynetworks: '192.0.2.0/24',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    alias_maps: '',
    local_recipient_maps: '',
    ...main,
  };
  writeFileSync(
    join(config, 'main.cf'),
    Object.entries(all)
      .map(([name, value]) => `${name} = ${value.replaceAll('DIR', config)}\n`)
      .join(''),
  );
  writeFileSync(
    join(config, 'master.cf'),
    'smtp inet n - n - - smtpd\n' +
      'submission inet n - n - - smtpd\n -o smtpd_relay_restrictions=reject\n' +
      'smtp unix - - n - - smtp\nlocal unix - n n - - local\n',
  );
  for (const [name, content] of Object.entries(files)) writeFileSync(join(config, name), content);
  chmodSync(directory, 0o755);
  return config;
}

async function explain(config: string, ...words: readonly string[]) {
  const found = await findOut(parseExplainRequest(words), config, LOG);
  return { text: formatExplained(found), status: exitStatus(found) };
}

const WHO = ['--client', '192.0.2.7', '--from', 'ann@client.test'] as const;

test('postfix explain names file, line, key and answer', async (t) => {
  const config = writeConfiguration(
    t,
    {
      smtpd_recipient_restrictions: 'check_recipient_access texthash:DIR/access, reject',
      virtual_alias_domains: 'alias.test',
      virtual_alias_maps: 'texthash:DIR/virtual',
      canonical_maps: 'texthash:DIR/canonical',
      transport_maps: 'texthash:DIR/transport',
      recipient_bcc_maps: 'static:copy@lab.test',
      relayhost: '[relay.test]',
    },
    {
      access: '# whom we know\nlab.test OK\n\nalias.test OK\n',
      virtual: 'both@alias.test root, ann@far.test\n',
      canonical: 'old@lab.test root@lab.test\n',
      transport: 'far.test smtp:[hub.test]:26\n',
    },
  );
  const { text, status } = await explain(
    config,
    ...WHO,
    '--to',
    'both@alias.test',
    '--to',
    'old@lab.test',
  );
  assert.equal(status, 0, text);
  for (const wanted of [
    `smtpd    ${config}/master.cf, line 1: smtp inet`,
    'in mynetworks: 192.0.2.0/24',
    `${config}/main.cf, line 10: smtpd_recipient_restrictions`,
    `texthash:${config}/access, line 4: alias.test OK`,
    'not reached: reject',
    `texthash:${config}/virtual, line 1: both@alias.test): root, ann@far.test`,
    'append_at_myorigin: root@mx.lab.test',
    `texthash:${config}/transport, line 1: far.test): smtp:[hub.test]:26`,
    'nexthop    [hub.test]:26',
    `relayhost, ${config}/main.cf, line 16: [relay.test]`,
    `texthash:${config}/canonical, line 1: old@lab.test): root@lab.test`,
    'class      local: ',
    `transport  local (${config}/master.cf, line 5)`,
    'copies\n  recipient_bcc_maps',
    'verdict: accepted\n',
  ]) {
    assert(text.includes(wanted), `${wanted}\n--- is not in:\n${text}`);
  }
});

test('postfix explain names the rule of a table of patterns', async (t) => {
  const config = writeConfiguration(
    t,
    {
      smtpd_client_restrictions: 'check_client_access cidr:DIR/networks',
      smtpd_sender_restrictions: 'check_sender_access proxy:pcre:DIR/senders',
      smtpd_recipient_restrictions: 'check_recipient_access regexp:DIR/recipients, reject',
      transport_maps: 'regexp:DIR/transport',
    },
    {
      networks: '# networks\n10.0.0.0/8 REJECT\n192.0.2.0/24\n  INFO a network\n',
      senders: '/^bob@/ REJECT\n/^(.*)@client/ INFO it is $1\n',
      recipients: 'if /@lab/\n/^x/ REJECT\nendif\n\n!/nobody/ OK\n',
      transport: '/^x@lab/ smtp:[one.test]\n/@lab\\.test$/ smtp:[two.test]\n',
    },
  );
  const { text, status } = await explain(config, ...WHO, '--to', 'root@lab.test');
  assert.equal(status, 0, text);
  for (const wanted of [
    `cidr:${config}/networks, line 3: 192.0.2.7 INFO a network`,
    `pcre:${config}/senders, line 2: ann@client.test INFO it is ann`,
    `regexp:${config}/recipients, line 5: root@lab.test OK`,
    `regexp:${config}/transport, line 2: root@lab.test): smtp:[two.test]`,
  ]) {
    assert(text.includes(wanted), `${wanted}\n--- is not in:\n${text}`);
  }
});

test('postfix explain asks nobody unless it is told to, and says whom it would ask', async (t) => {
  const dns = await startDnsServer(t, {
    '7.2.0.192.list.test': { A: ['127.0.0.2'], TXT: ['listed'] },
    '7.2.0.192.in-addr.arpa': { PTR: ['client.test'] },
    'client.test': { A: ['192.0.2.7'] },
  });
  const config = writeConfiguration(t, {
    dns_nameservers: dns.nameserver,
    smtpd_client_restrictions: 'reject_unknown_client_hostname, sleep 5',
    smtpd_relay_restrictions: 'permit_mynetworks, reject',
    smtpd_recipient_restrictions:
      'check_policy_service unix:private/policy, reject_unverified_sender, reject_rbl_client list.test',
    smtpd_milters: 'inet:127.0.0.1:1',
    smtpd_end_of_data_restrictions: 'reject_unknown_sender_domain',
  });
  const offline = await explain(config, ...WHO, '--to', 'root@lab.test');
  assert.equal(offline.status, 69, offline.text);
  assert.deepEqual(dns.questions, []);
  for (const wanted of [
    'would ask the DNS for the name of 192.0.2.7',
    'would wait 5 s',
    'would ask the policy server private/policy',
    'would ask verify(8) about ann@client.test',
    'would ask the DNS for the addresses of 7.2.0.192.list.test',
    'would ask the DNS for the MX records of client.test',
    'unasked  smtpd_milters = inet:127.0.0.1:1',
    'verdict: accepted, unless one of those that were not asked (?) says otherwise',
  ]) {
    assert(offline.text.includes(wanted), `${wanted}\n--- is not in:\n${offline.text}`);
  }
  const online = await explain(config, ...WHO, '--to', 'root@lab.test', '--dns');
  assert.match(online.text, /client {3}client\.test\[192\.0\.2\.7\]/);
  assert.match(online.text, /verdict: refused at RCPT .*blocked using list\.test; listed/);
});

test('postfix explain believes that the session is encrypted, and who is logged in', async (t) => {
  const config = writeConfiguration(t, {
    mynetworks: '127.0.0.1/32',
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_path: 'private/nobody-is-asked',
    smtpd_client_restrictions: 'reject_plaintext_session',
    smtpd_sender_login_maps: 'inline:{{ann@client.test=ann}}',
    smtpd_sender_restrictions: 'reject_sender_login_mismatch',
  });
  const ask = (...words: string[]) => explain(config, ...WHO, '--to', 'a@far.test', ...words);
  assert.match((await ask()).text, /verdict: put off .*450 4\.7\.1 Session encryption is required/);
  assert.match((await ask('--tls')).text, /verdict: refused .*553 5\.7\.1 .*not logged in/);
  assert.match((await ask('--tls', '--sasl', 'bob')).text, /553 5\.7\.1 .*not owned by user bob/);
  const { text, status } = await ask('--tls', '--sasl', 'ann');
  assert.match(text, /permit_sasl_authenticated +permit +ann is logged in/);
  assert.equal(status, 0);
  const file = join(config, 'master.cf');
  writeFileSync(file, 'smtps inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n');
  assert.match((await ask()).text, /not logged in/);
});

test('postfix explain takes the smtpd that it is told', async (t) => {
  const config = writeConfiguration(t, {});
  const found = await explain(config, ...WHO, '--to', 'a@far.test', '--service', 'submission');
  assert.equal(found.status, 77);
  assert.match(found.text, /master\.cf, line 2: submission inet: -o smtpd_relay_restrictions\n/);
  await assert.rejects(
    explain(config, ...WHO, '--to', 'a@far.test', '--service', 'smtps'),
    /--service smtps: .*master\.cf has no smtpd of that name; it has: smtp, submission/,
  );
});

const STATUSES: readonly (readonly [words: readonly string[], status: number, said: RegExp])[] = [
  [[...WHO, '--to', 'a@far.test'], 0, /verdict: accepted\n$/],
  [['--client', '198.51.100.1', '--from', '', '--to', 'a@far.test'], 75, /put off at RCPT/],
  [['--client', '192.0.2.300', '--from', '', '--to', 'a'], 1, /not an IP address/],
  [['--from', '', '--to', 'a'], 1, /option --client is missing/],
  [[...WHO], 1, /option --to is missing/],
  [[...WHO, '--to'], 1, /option --to needs a value/],
  [[...WHO, '--to', 'a', '--dns=yes'], 1, /option --dns takes no value/],
  [[...WHO, '--to', 'a', '--what'], 1, /unknown option: --what/],
];

test('postfix explain ends with its verdict, for anybody, without a mail system', async (t) => {
  const config = writeConfiguration(t, {});
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  for (const [words, status, said] of STATUSES) {
    const program = join(BUILD, 'bin/postfix');
    const found = spawnSync(program, ['-c', config, 'explain', ...words], {
      encoding: 'utf8',
      ...user,
    });
    assert.equal(found.status, status, found.stderr);
    assert.match(found.stdout + found.stderr, said);
  }
});
