/** AUTH with a real Dovecot: as Postfix's smtpd has it. */
import { test } from 'node:test';
import { startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { authSettings, USERS } from './auth-exchanges.ts';
import { compareServers } from './compare.ts';

const skip = whyNoPostfix() || whyNoDovecot();

test('clients log in as with Postfix, with Dovecot behind', { skip }, async (t) => {
  const dovecot = await startDovecot(t, USERS);
  await compareServers(t, authSettings(dovecot.socket));
});
