/** Policy servers: the same requests and the same decisions as Postfix's smtpd. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers } from './compare.ts';
import { converse, type Step } from './dialogue.ts';
import { startServerPairs } from './server-pair.ts';
import { DATA, EHLO, FROM, QUIT } from './steps.ts';

interface PolicyPeer {
  readonly path: string;
  /** Each request, and the connection it came by. */
  readonly requests: { readonly connection: number; readonly text: string }[];
}

/** What the server says to mail for a recipient: bytes, or nothing at all. */
const ANSWERS: Readonly<Record<string, string>> = {
  reject: 'action=REJECT no\n\n',
  extra: 'x=y\naction=REJECT extra\nz=1\n\n',
  missing: 'foo=bar\n\n',
  bare: '\n\n',
  empty: 'action=\n\n',
  'not-utf8': 'action=REJECT \xff\n\n',
  utf8: 'action=REJECT \xc3\xa9\n\n',
  table: 'action=check_client_access hash:/etc/access\n\n',
  filter: 'action=FILTER x\n\n',
  list: 'action=reject_non_fqdn_recipient, defer\n\n',
  hold: 'action=HOLD\n\n',
  ok: 'action=OK\n\n',
  defer: 'action=DEFER_IF_PERMIT Greylisted, see help\n\n',
};

async function startPolicyPeer(t: TestContext): Promise<PolicyPeer> {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  const path = join(directory, 'policy');
  const requests: { connection: number; text: string }[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    const connection = connections;
    sockets.add(socket);
    socket.setEncoding('latin1').on('error', () => {});
    let pending = '';
    socket.on('data', (chunk: string) => {
      pending += chunk;
      for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
        const text = pending.slice(0, end);
        pending = pending.slice(end + 2);
        requests.push({ connection, text });
        const who = /^recipient=([^@\n]*)/m.exec(text)?.[1] ?? '';
        if (who === 'closes') socket.end();
        else if (who !== 'hangs') socket.write(ANSWERS[who] ?? 'action=DUNNO\n\n', 'latin1');
      }
    });
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  chmodSync(path, 0o777);
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { path, requests };
}

const recipient = (name: string): readonly Step[] => [
  EHLO,
  FROM,
  `RCPT TO:<${name}@lab.test>`,
  QUIT,
];

test('policy servers decide as in Postfix', {
  skip: whyNoPostfix(),
  concurrency: 4,
}, async (t) => {
  const { path } = await startPolicyPeer(t);
  const sessions = Object.fromEntries(
    [...Object.keys(ANSWERS), 'closes', 'nothing'].map((name) => [name, recipient(name)]),
  );
  const ask = `check_policy_service { unix:${path}, retry_delay=1s }`;
  await compareServers(t, {
    'all answers': {
      main: { local_recipient_maps: '', smtpd_recipient_restrictions: ask },
      sessions,
    },
    'no answer': {
      main: {
        local_recipient_maps: '',
        smtpd_recipient_restrictions: `check_policy_service { unix:${path}, timeout=1s, retry_delay=1s }`,
      },
      sessions: { hangs: recipient('hangs') },
    },
    'a default action': {
      main: {
        smtpd_policy_service_timeout: '1s',
        smtpd_policy_service_try_limit: '1',
        smtpd_policy_service_default_action: 'DEFER 4.2.1 later',
        smtpd_recipient_restrictions: `check_policy_service unix:${path}`,
      },
      sessions: { closes: recipient('closes'), hangs: recipient('hangs') },
    },
    'a default action of its own': {
      main: {
        smtpd_sender_restrictions: `check_policy_service { unix:/nowhere/policy, {default_action = REJECT not now}, retry_delay=1s }`,
      },
      sessions: { 'a recipient': recipient('root') },
    },
    'nobody listens': {
      main: {
        smtpd_sender_restrictions: 'check_policy_service inet:127.0.0.1:1',
      },
      sessions: { 'a recipient': recipient('root') },
    },
    'no server': {
      main: { smtpd_data_restrictions: 'check_policy_service' },
      sessions: { DATA: [EHLO, FROM, 'RCPT TO:<root@lab.test>', 'DATA', QUIT] },
    },
  });
});

test('policy servers are told the same as by Postfix', { skip: whyNoPostfix() }, async (t) => {
  const { path, requests } = await startPolicyPeer(t);
  const ask = `check_policy_service { unix:${path}, policy_context=here }`;
  const setting = {
    local_recipient_maps: '',
    smtpd_delay_reject: 'no',
    smtpd_client_restrictions: ask,
    smtpd_helo_restrictions: ask,
    smtpd_sender_restrictions: ask,
    smtpd_recipient_restrictions: ask,
    smtpd_data_restrictions: ask,
    smtpd_end_of_data_restrictions: ask,
    smtpd_etrn_restrictions: ask,
  };
  const login = `AUTH PLAIN ${Buffer.from('\0joe\0secret').toString('base64')}`;
  const hasDovecot = whyNoDovecot() === false;
  const sasl = hasDovecot ? saslWith(await startDovecot(t, { joe: 'secret' })) : {};
  const { pair } = await startServerPairs(t, { pair: { ...setting, ...sasl } });
  const steps: readonly Step[] = [
    EHLO,
    'ETRN relay.test',
    'VRFY x@lab.test',
    `${FROM} SIZE=100`,
    'RCPT TO:<x@lab.test>',
    'RCPT TO:<y@lab.test>',
    ...DATA,
    'HELO x.test',
    ...(hasDovecot ? [login, `${FROM} AUTH=ann`, 'RCPT TO:<x@lab.test>', 'RSET'] : []),
    'MAIL FROM:<>',
    'RCPT TO:<"a b"@lab.test>',
    ...DATA,
    QUIT,
  ];
  const told = { ours: [''], real: [''] };
  for (const maker of ['ours', 'real'] as const) {
    requests.length = 0;
    await pair.talk(maker, steps);
    told[maker] = requests.map(({ text }) => neutral(text));
    assert.equal(new Set(requests.map(({ connection }) => connection)).size, 1);
    const instances = requests.map(({ text }) => /^instance=(.*)/m.exec(text)?.[1] ?? '');
    assert.equal(new Set(instances).size, hasDovecot ? 4 : 3, instances.join(' '));
    for (const instance of instances) assert.match(instance, /^(?:|[0-9a-f]+(?:\.[0-9a-f]+){3})$/);
  }
  assert.deepEqual(told.ours, told.real);
});

function neutral(request: string): string {
  return request
    .replace(/^((?:client_port|server_address)=).*/gm, '$1')
    .replace(/^((?:queue_id|instance)=)./gm, '$1X')
    .replace(/^((?:queue_id|instance)=X).*/gm, '$1');
}

test('a connection to a policy server has so many requests and no more', async (t) => {
  const { path, requests } = await startPolicyPeer(t);
  const mail = await startMailSystem(t, {
    main: {
      smtpd_recipient_restrictions: `check_policy_service { unix:${path}, request_limit=2 }`,
    },
  });
  const to = 'RCPT TO:<root@lab.test>';
  await converse({ port: mail.port }, [EHLO, FROM, to, to, to, to, to, QUIT]);
  assert.deepEqual(
    requests.map(({ connection }) => connection),
    [1, 1, 2, 2, 3],
  );
});

for (const option of ['max_idle', 'max_ttl']) {
  test(`a connection to a policy server is not used beyond its ${option}`, async (t) => {
    const { path, requests } = await startPolicyPeer(t);
    const mail = await startMailSystem(t, {
      main: {
        smtpd_recipient_restrictions: `check_policy_service { unix:${path}, ${option}=1s }, sleep 2`,
      },
    });
    const to = 'RCPT TO:<root@lab.test>';
    await converse({ port: mail.port }, [EHLO, FROM, to, to, QUIT]);
    assert.deepEqual(
      requests.map(({ connection }) => connection),
      [1, 2],
    );
  });
}

const BAD: Readonly<Record<string, string>> = {
  policy: `need service transport:endpoint instead of "policy"`,
  'foo:policy': 'invalid transport name: foo in service: foo:policy',
  '{ }': 'empty policy service: "{ }"',
  '{ unix:policy, bar=1 }': 'unknown option: "bar = 1"',
  '{ unix:policy, timeout=soon }': 'timeout: bad time value or unit: soon',
  '{ unix:policy, timeout }': `malformed option: missing '=' after attribute name: "...timeout..."`,
};

for (const [server, message] of Object.entries(BAD)) {
  test(`check_policy_service ${server} keeps smtpd from starting`, async (t) => {
    const main = { smtpd_sender_restrictions: `check_policy_service ${server}` };
    const mail = await startMailSystem(t, { main });
    await converse({ port: mail.port }, [], { early: true });
    const line = await mail.waitForLog(/smtpd\[\d+\]: fatal/);
    assert.ok(line.endsWith(`fatal: ${message}`), line);
  });
}
