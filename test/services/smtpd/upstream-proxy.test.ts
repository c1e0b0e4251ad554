/** A proxy in front of smtpd says who the client is: Postfix's smtpd and ours hear the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../../lib/clock/clock.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers, type Session } from './compare.ts';
import { Dialogue, type Step, send } from './dialogue.ts';

const V1 = 'PROXY TCP4 192.0.2.9 192.0.2.10 5000 25\r\n';
const V2 = '\r\n\r\n\0\r\nQUIT\n';
const ENDS_4 = '\xc0\x00\x02\x09\xc0\x00\x02\x0a\x13\x88\x00\x19';
const loopback6 = `${'\0'.repeat(15)}\x01`;
const ENDS_6 = `${loopback6}${loopback6}\x13\x88\x00\x19`;
const MAPPED = `${'\0'.repeat(10)}\xff\xff\xc0\x00\x02\x09`;

const v2 = (head: string, body: string) => {
  const length = String.fromCharCode(body.length >> 8, body.length & 0xff);
  return `${V2}${head}${length}${body}`;
};
const early = (...steps: readonly Step[]): Session => ({ steps, early: true });
/** The header, and what a client of it may do then: relaying is for 127.0.0.1. */
const told = (header: string) =>
  early(
    send(header),
    'EHLO client.test',
    'MAIL FROM:<ann@client.test>',
    'RCPT TO:<far@away.test>',
    'RCPT TO:<root@lab.test>',
    'QUIT',
  );
const refused = (header: string) => early(send(header), 'await end');

test('a proxy says who the client is', { skip: whyNoPostfix() }, async (t) => {
  const main = {
    smtpd_upstream_proxy_protocol: 'haproxy',
    smtpd_upstream_proxy_timeout: '3s',
    inet_protocols: 'all',
    mynetworks: '127.0.0.0/8, [::1]/128',
  };
  await compareServers(t, {
    told: {
      main: { ...main, smtpd_client_port_logging: 'yes' },
      sessions: {
        'version 1': told(V1),
        'version 1, one of us': told('PROXY TCP4 127.0.0.1 192.0.2.10 65535 25\r\n'),
        'version 1, IPv6': told('PROXY TCP6 2001:db8::1:0:0:1 ::1 5000 25\r\n'),
        'version 1, IPv4 in IPv6': told('PROXY TCP6 ::ffff:192.0.2.9 ::1 5000 25\r\n'),
        'version 1, more words': told('PROXY TCP4 192.0.2.9 192.0.2.10 5000 25 more\r\n'),
        'version 1, a bare line feed': told('PROXY TCP4 192.0.2.9 192.0.2.10 5000 25\n'),
        'version 2': told(v2('\x21\x11', ENDS_4)),
        'version 2, with more to say': told(v2('\x21\x11', `${ENDS_4}\x03\x00\x04abcd`)),
        'version 2, IPv6': told(v2('\x21\x21', ENDS_6)),
        'version 2, IPv4 in IPv6': told(v2('\x21\x21', `${MAPPED}${loopback6}\x13\x88\x00\x19`)),
        'an early client': early(send(`${V1}QUIT\r\n`, 2), 'await end'),
      },
    },
    'not told': {
      main,
      sessions: {
        'version 2, for itself': told(v2('\x20\x00', '')),
        'version 2, for itself, with addresses': told(v2('\x20\x11', ENDS_4)),
        nothing: early('await end'),
        'no header': refused('EHLO client.test\r\n'),
        'a client of no protocol': refused('PROXY UNKNOWN\r\n'),
        'a client of UDP': refused('PROXY UDP4 192.0.2.9 192.0.2.10 5000 25\r\n'),
        'a bad client': refused('PROXY TCP4 192.0.2.999 192.0.2.10 5000 25\r\n'),
        'a client of the wrong family': refused('PROXY TCP4 ::1 192.0.2.10 5000 25\r\n'),
        'no server': refused('PROXY TCP4 192.0.2.9\r\n'),
        'a bad port': refused('PROXY TCP4 192.0.2.9 192.0.2.10 70000 25\r\n'),
        'no port': refused('PROXY TCP4 192.0.2.9 192.0.2.10 5000\r\n'),
        'an endless header': refused(`PROXY TCP4 ${'x'.repeat(700)}`),
        'version 2, another version': refused(v2('\x11\x11', ENDS_4)),
        'version 2, another command': refused(v2('\x22\x11', ENDS_4)),
        'version 2, UDP': refused(v2('\x21\x12', ENDS_4)),
        'version 2, a UNIX-domain socket': refused(v2('\x21\x31', 'x'.repeat(216))),
        'version 2, short addresses': refused(v2('\x21\x11', ENDS_4.slice(0, 8))),
      },
    },
    'IPv4 only': {
      main: { ...main, inet_protocols: 'ipv4' },
      sessions: {
        'a client of IPv6': refused('PROXY TCP6 ::1 ::1 5000 25\r\n'),
        'version 2, a client of IPv6': refused(v2('\x21\x21', ENDS_6)),
      },
    },
  });
});

test('a header that comes in pieces is put together', async (t) => {
  const mail = await startMailSystem(t, {
    main: { smtpd_upstream_proxy_protocol: 'haproxy' },
  });
  const client = new Dialogue({ port: mail.port });
  for (const piece of ['PROX', 'Y TCP4 192.0.2.9 192.0.2.10 ', '5000 25\r\nQU']) {
    await client.play(send(piece, 0));
    await sleep(20);
  }
  await client.play(send('IT\r\n', 2));
  assert.deepEqual(client.replies, ['220 mx.lab.test ESMTP Postfix', '221 2.0.0 Bye']);
  await mail.waitForLog(/smtpd\[\d+\]: connect from unknown\[192\.0\.2\.9\]$/);
});

test('a proxy can be told of in no other protocol', { timeout: 30_000 }, async (t) => {
  const mail = await startMailSystem(t, { main: { smtpd_upstream_proxy_protocol: 'socks' } });
  const client = new Dialogue({ port: mail.port });
  await mail.waitForLog(/fatal: unsupported smtpd_upstream_proxy_protocol value: socks/);
  await client.close();
});
