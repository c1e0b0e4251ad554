import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { isNullMx } from '../../../lib/dns/answer.ts';
import { openResolver, type ResolverOptions } from '../../../lib/dns/resolver.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { startDnsServer, type Zone } from '../../support/dns-server.ts';
import { freePort } from '../../support/ports.ts';

async function resolverFor(t: TestContext, zone: Zone, options: ResolverOptions = {}) {
  const server = await startDnsServer(t, zone);
  const resolver = openResolver({
    nameservers: [server.nameserver],
    timeoutMs: 5000,
    hostsFile: '/dev/null',
    ...options,
  });
  return { server, resolver };
}

test('MX records come with their preferences, in the order of the reply', async (t) => {
  const { resolver } = await resolverFor(t, {
    'example.com': {
      MX: [
        [20, 'b.example.com'],
        [10, 'a.example.com'],
      ],
      ttl: 300,
    },
  });
  const answer = await resolver.lookupMx('Example.COM');
  assert.equal(answer.status, 'found');
  assert.equal(answer.ttl, 300);
  assert.deepEqual(answer.records, [
    { preference: 20, exchange: 'b.example.com' },
    { preference: 10, exchange: 'a.example.com' },
  ]);
});

test('a null MX is an MX record that names nobody', async (t) => {
  const { resolver } = await resolverFor(t, { 'nomail.example': { MX: [[0, '.']] } });
  const answer = await resolver.lookupMx('nomail.example');
  assert.equal(answer.status, 'found');
  assert.ok(isNullMx(answer.records));
});

test('CNAMEs are followed to the records', async (t) => {
  const { resolver } = await resolverFor(t, {
    'www.example': { CNAME: 'web.example' },
    'web.example': { CNAME: 'host.example' },
    'host.example': { A: ['192.0.2.1'] },
  });
  const answer = await resolver.lookupAddresses('www.example', [4]);
  assert.deepEqual(answer.records, [{ family: 4, address: '192.0.2.1' }]);
  assert.equal(answer.canonical, 'host.example');
});

test('a circle of CNAMEs is no answer', async (t) => {
  const { resolver } = await resolverFor(t, {
    'one.example': { CNAME: 'two.example' },
    'two.example': { CNAME: 'one.example' },
  });
  const answer = await resolver.lookupAddresses('one.example', [4]);
  assert.equal(answer.reason, 'Name server loop for one.example');
});

const FAILURES = [
  { name: 'missing.example', status: 'not-found', problem: 'Host not found' },
  {
    name: 'empty.example',
    status: 'no-data',
    problem: 'Host found but no data record of requested type',
  },
  { name: 'broken.example', status: 'again', problem: 'Host not found, try again' },
  { name: 'refused.example', status: 'again', problem: 'Host not found, try again' },
  { name: 'puzzled.example', status: 'invalid', problem: 'Non-recoverable error' },
  {
    name: 'malformed.example',
    status: 'invalid',
    problem: 'Malformed or unexpected name server reply',
  },
] as const;

for (const { name, status, problem } of FAILURES) {
  test(`the answer for ${name} is ${status}: ${problem}`, async (t) => {
    const { resolver } = await resolverFor(t, {
      'empty.example': { TXT: ['x'] },
      'broken.example': { rcode: 'SERVFAIL' },
      'refused.example': { rcode: 'REFUSED' },
      'puzzled.example': { rcode: 'FORMERR' },
      'malformed.example': { MX: [[10, 'not a name']] },
    });
    const answer = await resolver.lookupMx(name);
    assert.equal(answer.status, status);
    assert.equal(
      answer.reason,
      `Host or domain name not found. Name service error for name=${name} type=MX: ${problem}`,
    );
  });
}

for (const name of [
  '',
  '1.2.3',
  'a..b',
  '-x.example',
  'a b.example',
  `${'x'.repeat(64)}.example`,
]) {
  test(`${JSON.stringify(name)} is not asked for: no host has such a name`, async (t) => {
    const { resolver, server } = await resolverFor(t, {});
    const answer = await resolver.lookupMx(name);
    assert.equal(answer.status, 'not-found');
    assert.match(answer.reason, /^Name service error for .*: invalid host or domain name$/);
    assert.deepEqual(server.questions, []);
  });
}

test('a name in Unicode is asked for in its ASCII form', async (t) => {
  const { resolver, server } = await resolverFor(t, {
    'xn--bcher-kva.example': { A: ['192.0.2.7'] },
  });
  const answer = await resolver.lookupAddresses('bücher.example', [4]);
  assert.equal(answer.status, 'found');
  assert.deepEqual(server.questions, ['udp A xn--bcher-kva.example']);
});

test('a silent server is given up after its attempts', async (t) => {
  const { resolver, server } = await resolverFor(
    t,
    { 'silent.example': { silent: true } },
    { timeoutMs: 50, attempts: 2 },
  );
  const answer = await resolver.lookupMx('silent.example');
  assert.equal(answer.status, 'again');
  await eventually('both questions', () => server.questions.length === 2);
});

test('a reply cut short is fetched again by TCP', async (t) => {
  const texts = Array.from({ length: 40 }, (_, index) => `text number ${index} ${'x'.repeat(80)}`);
  const { resolver, server } = await resolverFor(t, {
    'long.example': { TXT: texts, truncated: true },
  });
  const answer = await resolver.lookupTxt('long.example');
  assert.deepEqual(answer.records, texts);
  assert.deepEqual(server.questions, ['udp TXT long.example', 'tcp TXT long.example']);
});

test('the strings of one TXT record are one text', async (t) => {
  const { resolver } = await resolverFor(t, { 'split.example': { TXT: [['v=spf1 ', '-all']] } });
  assert.deepEqual((await resolver.lookupTxt('split.example')).records, ['v=spf1 -all']);
});

const FORGERIES = {
  'with another id': (right: Buffer) => {
    const forged = Buffer.from(right);
    forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
    return forged;
  },
  'to another question': (right: Buffer) => {
    const packet = decode(right);
    return encode({ ...packet, questions: [{ type: 'A', name: 'evil.example' }] });
  },
  'that is noise': () => Buffer.from('not a DNS message at all'),
  'that is empty': () => Buffer.alloc(0),
  'that is a question': (right: Buffer) => encode({ ...decode(right), type: 'query' }),
};

for (const [what, forged] of Object.entries(FORGERIES)) {
  test(`a reply ${what} is ignored, and the right one taken`, async (t) => {
    const { resolver } = await resolverFor(t, { 'host.example': { A: ['192.0.2.1'], forged } });
    const answer = await resolver.lookupAddresses('host.example', [4]);
    assert.deepEqual(answer.records, [{ family: 4, address: '192.0.2.1' }]);
  });
}

test('an answer is remembered for its TTL, and one question serves all who ask at once', async (t) => {
  const { resolver, server } = await resolverFor(t, {
    'host.example': { A: ['192.0.2.1'] },
    'fleeting.example': { A: ['192.0.2.2'], ttl: 0 },
  });
  for (const name of ['host.example', 'fleeting.example']) {
    await Promise.all([
      resolver.lookupAddresses(name, [4]),
      resolver.lookupAddresses(name, [4]),
      resolver.lookupAddresses(name.toUpperCase(), [4]),
    ]);
    await resolver.lookupAddresses(name, [4]);
  }
  assert.deepEqual(server.questions, [
    'udp A host.example',
    'udp A fleeting.example',
    'udp A fleeting.example',
  ]);
});

test('trouble is not remembered', async (t) => {
  const { resolver, server } = await resolverFor(t, { 'host.example': { rcode: 'SERVFAIL' } });
  assert.equal((await resolver.lookupMx('host.example')).status, 'again');
  server.zone['host.example'] = { MX: [[10, 'mx.example']] };
  assert.equal((await resolver.lookupMx('host.example')).status, 'found');
});

test('the next server is asked when one is broken or not there', async (t) => {
  const broken = await startDnsServer(t, { 'host.example': { rcode: 'SERVFAIL' } });
  const { resolver } = await resolverFor(t, { 'host.example': { A: ['192.0.2.1'] } });
  const good = await startDnsServer(t, { 'host.example': { A: ['192.0.2.1'] } });
  assert.equal((await resolver.lookupAddresses('host.example')).status, 'found');
  const many = openResolver({
    nameservers: [`127.0.0.1:${await freePort()}`, broken.nameserver, good.nameserver],
  });
  assert.equal((await many.lookupAddresses('host.example', [4])).status, 'found');
  assert.deepEqual(broken.questions, ['udp A host.example']);
});

test('addresses come in the order of the families asked for', async (t) => {
  const { resolver } = await resolverFor(t, {
    'both.example': { A: ['192.0.2.1'], AAAA: ['2001:db8::1'] },
    'six.example': { AAAA: ['2001:db8::2'] },
  });
  const both = await resolver.lookupAddresses('both.example', [6, 4]);
  assert.deepEqual(
    both.records.map(({ address }) => address),
    ['2001:db8::1', '192.0.2.1'],
  );
  assert.equal((await resolver.lookupAddresses('six.example')).status, 'found');
  assert.equal((await resolver.lookupAddresses('six.example', [4])).status, 'no-data');
});

test('an address stands for itself', async (t) => {
  const { resolver, server } = await resolverFor(t, {});
  assert.deepEqual((await resolver.lookupAddresses('192.0.2.9')).records, [
    { family: 4, address: '192.0.2.9' },
  ]);
  assert.deepEqual(server.questions, []);
});

test('names of addresses are found in the reverse zones', async (t) => {
  const nibbles = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa';
  const { resolver } = await resolverFor(t, {
    '1.2.0.192.in-addr.arpa': { PTR: ['host.example'] },
    [nibbles]: { PTR: ['six.example'] },
    '2.2.0.192.in-addr.arpa': { PTR: ['bad name'] },
  });
  assert.deepEqual((await resolver.lookupPtr('192.0.2.1')).records, ['host.example']);
  assert.deepEqual((await resolver.lookupPtr('2001:db8::1')).records, ['six.example']);
  assert.equal((await resolver.lookupPtr('192.0.2.2')).status, 'invalid');
});

test('native lookups look into /etc/hosts first', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-dns-'));
  atEnd(t, () => rmSync(directory, { recursive: true, force: true }));
  const hostsFile = join(directory, 'hosts');
  writeFileSync(hostsFile, '# comment\n127.0.0.9 here.example here # more\n::9 here.example\n');
  const { resolver, server } = await resolverFor(
    t,
    { 'there.example': { A: ['192.0.2.1'] } },
    { hostsFile },
  );
  assert.deepEqual(
    (await resolver.lookupNative('HERE.example')).records.map(({ address }) => address),
    ['127.0.0.9', '::9'],
  );
  assert.deepEqual((await resolver.lookupNativeName('127.0.0.9')).records, ['here.example']);
  assert.equal((await resolver.lookupNative('there.example', [4])).status, 'found');
  assert.deepEqual(server.questions, ['udp A there.example']);
});
