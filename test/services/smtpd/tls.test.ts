/** TLS: the same sessions with Postfix's smtpd and ours. */
import { test } from 'node:test';
import { makeCertificates } from '../../support/certificates.ts';
import { makeClientHello } from '../../support/client-hello.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers } from './compare.ts';
import { tlsSettings } from './tls-exchanges.ts';

test('smtpd speaks TLS as Postfix', { skip: whyNoPostfix(), concurrency: 4 }, async (t) =>
  compareServers(t, tlsSettings(makeCertificates(t), await makeClientHello())),
);
