/** Odd configurations and odd clients: the same sessions with Postfix's smtpd and ours. */
import { test } from 'node:test';
import { makeCertificates } from '../../support/certificates.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { certificateSettings } from './certificate-exchanges.ts';
import { compareServers } from './compare.ts';
import { ODD_SETTINGS } from './odd-exchanges.ts';

test('smtpd takes odd configurations as Postfix', { skip: whyNoPostfix(), concurrency: 4 }, (t) =>
  compareServers(t, { ...ODD_SETTINGS, ...certificateSettings(makeCertificates(t)) }),
);
