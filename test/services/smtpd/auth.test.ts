/** AUTH with a real Dovecot: as Postfix's smtpd has it. */
import { test } from 'node:test';
import { makeCertificates } from '../../support/certificates.ts';
import { startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { authSettings, authWithTls, USERS } from './auth-exchanges.ts';
import { compareServers } from './compare.ts';

const skip = whyNoPostfix() || whyNoDovecot();

test('clients log in as with Postfix, with Dovecot behind', { skip }, async (t) => {
  const dovecot = await startDovecot(t, USERS);
  const { certificate, key } = makeCertificates(t).make('mx', '/CN=mx.lab.test');
  const tls = { smtpd_tls_cert_file: certificate, smtpd_tls_key_file: key };
  await compareServers(t, {
    ...authSettings(dovecot.socket),
    ...authWithTls(dovecot.socket, tls),
  });
});
