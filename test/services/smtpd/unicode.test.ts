/** Mail with addresses in Unicode, from smtpd to where it goes: with Postfix's smtp, and ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMailSystem } from '../../support/mail-system.ts';
import { commandOf, type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { startSmtpPeer } from '../../support/smtp-peer.ts';
import { converse, send } from './dialogue.ts';

const latin = (text: string) => send(`${Buffer.from(text, 'utf8').toString('latin1')}\r\n`);
const CONTENT = send('Subject: test\r\n\r\nhello\r\n.\r\n');

/** Sender and recipient, and what the next server makes of them. */
const MESSAGES: readonly (readonly [from: string, to: string])[] = [
  ['jös@client.test', 'plain@far.test'],
  ['ann@client.test', 'rööt@far.test'],
  ['ann@client.test', 'ann@fär.test'],
  ['ann@client.test', 'ascii@far.test'],
];

test('who asks for Unicode gets it, or a reason', { skip: whyNoPostfix() }, async (t) => {
  const told = await Promise.all(
    (['ours', 'real'] as const).map(async (maker: Maker) => {
      const modern = await startSmtpPeer(t);
      const old = await startSmtpPeer(t, { extensions: ['8BITMIME', 'SIZE'] });
      const results: unknown[] = [];
      for (const peer of [modern, old]) {
        const mail = await startMailSystem(t, {
          main: {
            relayhost: `[127.0.0.1]:${peer.port}`,
            local_recipient_maps: '',
            // A message may come while the one before it is still being dealt with.
            smtp_connection_cache_on_demand: 'no',
          },
          master: [`smtp unix - - n - - ${commandOf('ours', maker, 'smtp')}`],
        });
        for (const [sender, recipient] of MESSAGES) {
          await converse({ port: mail.port }, [
            'EHLO client.test',
            latin(`MAIL FROM:<${sender}> SMTPUTF8`),
            latin(`RCPT TO:<${recipient}>`),
            'DATA',
            CONTENT,
            'QUIT',
          ]);
          const line = await mail.waitForLog(new RegExp(`to=<${recipient}>, relay=.* status=`));
          results.push(line.replace(/^.*to=| delays?=[^ ]*|:\d{4,5}/g, ''));
        }
        await mail.waitUntilEmpty();
        results.push([...peer.commands].filter((each) => /^(?:MAIL|RCPT)/.test(each)).sort());
        mail.stop();
      }
      return results;
    }),
  );
  assert.deepEqual(told[0], told[1]);
  assert.match(
    JSON.stringify(told[0]),
    /dsn=5\.6\.7.*SMTPUTF8 is required, but was not offered by/,
  );
});
