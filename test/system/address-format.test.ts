/** info_log_address_format: both mail systems write addresses in their logs alike. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse } from '../services/smtpd/dialogue.ts';
import { freePort } from '../support/ports.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { MAKERS, runTool, startSystemOf } from './makers.ts';

const FROM = '"a b"@lab.test';

test('addresses in the log have the form of info_log_address_format', {
  skip: whyNoPostfix(),
}, async (t) => {
  const said = await Promise.all(
    MAKERS.map(async (maker) => {
      const [plain, filtered] = await Promise.all([freePort(), freePort(), freePort()]);
      const filter = await startSmtpPeer(t, { END_OF_DATA: '550 5.7.1 not this' });
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        main: {
          info_log_address_format: 'Internal',
          transport_maps: 'inline:{lab.test=discard:}',
          mynetworks: '127.0.0.0/8',
        },
        master: [
          `127.0.0.1:${plain} inet n - n - - smtpd -o smtpd_relay_restrictions=reject`,
          `127.0.0.1:${filtered} inet n - n - - smtpd -o smtpd_proxy_filter=127.0.0.1:${filter.port}`,
          'discard unix - - n - - discard',
        ],
      });
      runTool(maker, mail, 'sendmail', ['-f', FROM, '"c d"@lab.test'], 'Subject: x\n\n');
      runTool(maker, mail, 'postkick', ['public', 'pickup', 'W']);
      await mail.waitForLog(/to=<.?c d.?@lab\.test>.*status=sent/);
      const steps = ['EHLO x.test', `MAIL FROM:<${FROM}>`, 'RCPT TO:<"e f"@else.test>'];
      assert.match((await converse({ port: plain }, steps)).at(-1) ?? '', /^554/);
      const message = [...steps, 'DATA', 'Subject: x\r\n\r\n.'];
      assert.match((await converse({ port: filtered }, message)).at(-1) ?? '', /^550/);
      for (const line of [/smtpd.* reject: RCPT/, /proxy-reject/]) {
        await mail.waitForLog(line);
      }
      mail.stop();
      const lines = mail.log().split('\n');
      return lines.flatMap((line) => line.match(/(?:from|to)=<[^>]*>/g) ?? []);
    }),
  );
  assert.deepEqual(said[0], said[1]);
  assert.ok(said[1] && said[1].length > 5);
});
