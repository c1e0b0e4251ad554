import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHostname, toAsciiDomain } from '../../../lib/dns/domain.ts';
import { parseNameserver, parseResolvConf } from '../../../lib/dns/resolv-conf.ts';
import { reverseName } from '../../../lib/dns/reverse-name.ts';

test('resolv.conf names up to three servers, and how long to wait', () => {
  const conf = parseResolvConf(
    '# by hand\nnameserver 192.0.2.1\nnameserver ::1 ; local\nsearch example.com\n' +
      'nameserver 192.0.2.3\nnameserver 192.0.2.4\noptions timeout:2 attempts:99 rotate\n',
  );
  assert.deepEqual(conf, {
    nameservers: [
      { address: '192.0.2.1', port: 53 },
      { address: '::1', port: 53 },
      { address: '192.0.2.3', port: 53 },
    ],
    timeoutMs: 2000,
    attempts: 5,
  });
});

test('an empty resolv.conf means the server on this machine', () => {
  assert.deepEqual(parseResolvConf('').nameservers, [{ address: '127.0.0.1', port: 53 }]);
});

const NAMESERVERS = {
  '192.0.2.1': { address: '192.0.2.1', port: 53 },
  '127.0.0.1:5353': { address: '127.0.0.1', port: 5353 },
  '::1': { address: '::1', port: 53 },
  '[::1]:5353': { address: '::1', port: 5353 },
  '[2001:db8::1]': { address: '2001:db8::1', port: 53 },
};
for (const [text, server] of Object.entries(NAMESERVERS)) {
  test(`the name server ${text}`, () => assert.deepEqual(parseNameserver(text), server));
}

const DOMAINS: Record<string, string | undefined> = {
  'example.com': 'example.com',
  '1.2.3': '1.2.3',
  '[192.0.2.1]': '[192.0.2.1]',
  'Bücher.example': 'xn--bcher-kva.example',
  'bücher.1': undefined,
  'bücher/x.example': undefined,
};
for (const [domain, ascii] of Object.entries(DOMAINS)) {
  test(`${domain} in ASCII is ${ascii}`, () => assert.equal(toAsciiDomain(domain), ascii));
}

for (const name of ['a', 'mx-1.example.com', '_dmarc.example.com', 'example.com.', '3com.com']) {
  test(`${name} may be a host's name`, () => assert.ok(isHostname(name)));
}
for (const name of ['', '.', 'a..b', '-a.example', 'a-.example', '192.0.2.1', 'a b', 'a@b']) {
  test(`${JSON.stringify(name)} is no host's name`, () => assert.ok(!isHostname(name)));
}

test('the reverse name of an IPv6 address has 32 nibbles, also with IPv4 inside', () => {
  const zeros = '0.'.repeat(20);
  assert.equal(reverseName('::ffff:192.0.2.1'), `1.0.2.0.0.0.0.c.f.f.f.f.${zeros}ip6.arpa`);
  assert.equal(reverseName('nonsense'), undefined);
});
