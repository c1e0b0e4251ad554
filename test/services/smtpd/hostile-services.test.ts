/**
 * Policy servers, milters, authentication servers and the DNS, slow, wrong or gone, all at once, and all
 * in one smtpd: who depends on one of them gets the reply that Postfix gives, everybody else's mail goes
 * on meanwhile, and smtpd does not grow.
 */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { memoryOf, processesOf } from '../../system/processes.ts';
import { converse, Dialogue, type Step, send } from './dialogue.ts';

const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const MESSAGE: readonly Step[] = [
  EHLO,
  FROM,
  TO,
  'DATA',
  send('Subject: test\r\n\r\nhello\r\n.\r\n'),
  'QUIT',
];
const QUEUED = /^250 2\.0\.0 Ok: queued as /;
const MEMORY_MAX = 96e6;

/** What a service does with whoever connects. */
type Manner = (socket: Socket) => void;

const flood = (bytes: Buffer) => (socket: Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
};
const afterRequest = (answer: string) => (socket: Socket) => {
  socket.on('data', () => void socket.write(answer, 'latin1'));
};

const MANNERS: Readonly<Record<string, Manner>> = {
  silent: () => {},
  closing: (socket) => void socket.destroy(),
  'half-closing': (socket) => void socket.end(),
  'endless line': flood(Buffer.alloc(64 * 1024, 'x')),
  'endless lines': flood(Buffer.from('name=value\n'.repeat(5000))),
  zeros: flood(Buffer.alloc(64 * 1024)),
  nonsense: afterRequest('\0\x01\x02garbage\n\n'),
  web: afterRequest('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'),
};
const NAMES = Object.keys(MANNERS);

async function startService(t: TestContext, manner: Manner): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.resume();
    manner(socket);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

test('services that are slow, wrong or gone harm nobody but who depends on them', async (t) => {
  const dns = await startDnsServer(t, {
    'silent.test': { silent: true },
    'broken.test': { rcode: 'SERVFAIL' },
    'noise.test': { forged: () => Buffer.alloc(500, 0xff), rcode: 'SERVFAIL' },
    'cut.test': { truncated: true, forged: (right) => right.subarray(0, 14) },
  });
  const ports = await Promise.all(
    NAMES.map((name) => startService(t, MANNERS[name] ?? (() => {}))),
  );
  const services = [
    ...NAMES.map((name, at) => [name, ports[at] ?? 1] as const),
    ['gone', 1] as const,
  ];
  // Who comes from which address meets which service.
  const policyOf = (at: number) => `127.0.0.${20 + at}`;
  const milterOf = (at: number) => `127.0.0.${40 + at}`;
  const classes = services.map(([, port], at) => [
    `policy_${at}`,
    `check_policy_service { inet:127.0.0.1:${port}, timeout=1s, try_limit=1 }`,
  ]);
  const mail = await startMailSystem(t, {
    main: {
      ...Object.fromEntries(classes),
      smtpd_restriction_classes: classes.map(([name]) => name).join(', '),
      smtpd_client_restrictions: 'check_client_access texthash:$config_directory/clients',
      smtpd_milter_maps: 'texthash:$config_directory/milters',
      milter_connect_timeout: '1s',
      milter_command_timeout: '1s',
      milter_content_timeout: '1s',
      smtpd_sender_restrictions: 'reject_unknown_sender_domain',
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: `inet:127.0.0.1:${ports[NAMES.indexOf('closing')]}`,
      dns_nameservers: dns.nameserver,
      smtpd_peername_lookup: 'no',
      smtpd_error_sleep_time: '0',
      smtpd_client_connection_count_limit: '0',
      service_processes: '1',
      local_transport: 'discard:',
      default_transport: 'discard:',
    },
    files: {
      clients: services.map((_service, at) => `${policyOf(at)} policy_${at}\n`).join(''),
      milters: services.map(([, port], at) => `${milterOf(at)} inet:127.0.0.1:${port}\n`).join(''),
    },
  });
  const { port } = mail;
  const known = 'MAIL FROM:<ann@lab.test>';
  dns.zone['lab.test'] = { A: ['127.0.0.1'] };
  const good = MESSAGE.map((step) => (step === FROM ? known : step));
  // What is loaded with the first of each is no growth.
  await converse({ port }, good);
  const [smtpd] = processesOf(mail).filter(({ name }) => name === 'smtpd');
  const before = memoryOf(smtpd?.pid ?? 0).nowBytes;

  const hostile: (readonly [what: string, from: string, steps: readonly Step[], reply: RegExp])[] =
    [
      ...services.flatMap(([name], at) => [
        [
          `policy server: ${name}`,
          policyOf(at),
          [EHLO, known, TO],
          /^451 4\.3\.5 <unknown\[\S+\]>: Client host rejected: Server configuration problem$/,
        ] as const,
        [
          `milter: ${name}`,
          milterOf(at),
          [EHLO, known],
          /^451 4\.7\.1 Service unavailable - try again later$/,
        ] as const,
      ]),
      ...['broken.test', 'noise.test', 'cut.test'].map(
        (domain) =>
          [
            `DNS: ${domain}`,
            '127.0.0.60',
            [EHLO, `MAIL FROM:<x@${domain}>`, TO],
            /^450 4\.1\.8 <x@\S+>: Sender address rejected: Domain not found$/,
          ] as const,
      ),
      [
        'authentication: closing',
        '127.0.0.61',
        [EHLO, 'AUTH PLAIN AGpvZQBzZWNyZXQ='],
        /^454 4\.7\.0 Temporary authentication failure: /,
      ],
    ];
  // These wait for the DNS as long as it may take, and then are gone.
  for (let count = 0; count < 20; count += 1) {
    const waiting = new Dialogue({ port, from: '127.0.0.62' });
    atEnd(t, () => waiting.close());
    await waiting.expect(1);
    waiting.socket.write(`${EHLO}\r\nMAIL FROM:<x@silent.test>\r\n${TO}\r\n`);
  }
  const pending = Promise.all(
    hostile.map(async ([what, from, steps]) => {
      const replies = await converse({ port, from }, [...steps, 'QUIT']);
      return [what, replies.at(-2) ?? replies.join('\n')] as const;
    }),
  );
  for (let count = 0; count < 10; count += 1) {
    const replies = await converse({ port, from: '127.0.0.1' }, good);
    assert.match(replies.at(-2) ?? '', QUEUED);
  }
  for (const [at, [what, reply]] of (await pending).entries()) {
    assert.match(reply, hostile[at]?.[3] ?? /never/, what);
  }
  const [same] = processesOf(mail).filter(({ name }) => name === 'smtpd');
  assert.equal(same?.pid, smtpd?.pid);
  const growth = memoryOf(smtpd?.pid ?? 0).peakBytes - before;
  assert.ok(growth < MEMORY_MAX, `${Math.round(growth / 1e6)} MB`);
  assert.doesNotMatch(mail.log(), / (?:panic|fatal|error): /);
  await mail.waitUntilEmpty();
});
