/** Settings that make no sense: what keeps smtpd from starting, Postfix's and ours, in the same words. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { converse } from './dialogue.ts';
import { type Parameters, type ServerPair, startServerPairs } from './server-pair.ts';
import { EHLO, FROM, TO } from './steps.ts';

const milter = { smtpd_milters: 'inet:127.0.0.1:1' };

const SETTINGS: Readonly<Record<string, Parameters>> = {
  'a class without members': { smtpd_restriction_classes: 'empty' },
  'an unknown override': { receive_override_options: 'no_milters, no_such_thing' },
  'an override in capitals': { receive_override_options: 'NO_MILTERS' },
  'an unknown class of notices': { notify_classes: 'resource, nonsense' },
  'an unknown form of From': { header_from_format: 'nonsense' },
  'an unknown rule for line ends': { smtpd_forbid_bare_newline: 'maybe' },
  'an unknown action for addresses': { unknown_address_tempfail_action: 'panic' },
  'an unknown action for HELO': { unknown_helo_hostname_tempfail_action: 'panic' },
  'an unknown action for senders': { unverified_sender_tempfail_action: 'panic' },
  'an unknown action for all': { reject_tempfail_action: 'reject' },
  'an unknown action of milters': { ...milter, milter_default_action: 'panic' },
  'an unknown protocol of milters': { ...milter, milter_protocol: '99' },
};

test('what keeps Postfix’s smtpd from starting keeps ours', { skip: whyNoPostfix() }, async (t) => {
  const pairs = await startServerPairs(t, SETTINGS);
  for (const [name, pair] of Object.entries(pairs)) {
    await t.test(name, async () => {
      const [ours, real] = [
        await firstWords(pair, 'ours', name),
        await firstWords(pair, 'real', name),
      ];
      assert.deepEqual(ours, real);
    });
  }
});

/** What a server logs when its first client comes, up to why it does not start. */
async function firstWords(
  { mail, doors }: ServerPair,
  maker: Maker,
  name: string,
): Promise<string[]> {
  const { port, host } = doors[maker];
  const socket = connect({ port, host });
  socket.on('error', () => {});
  try {
    return await eventually(`words of ${maker}, ${name}`, () => {
      const lines = mail.log().split('\n').slice(0, -1);
      const own = lines.filter((line) => line.includes(` ${maker}-${name}/smtpd[`));
      const texts = own.map((line) => line.replace(/^.*?\/smtpd\[\d+\]: /, ''));
      const last = texts.findIndex((text) => /^(?:fatal:|connect from)/.test(text));
      return last >= 0 && texts.slice(0, last + 1);
    });
  } finally {
    socket.destroy();
  }
}

test('a list of clients that makes no sense, in a table, is refused when it is met', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      smtpd_peername_lookup: 'no',
      smtpd_recipient_restrictions: 'check_client_access static:{reject_rbl_client x.test=foo}',
    },
  });
  const replies = await converse({ port: mail.port }, [EHLO, FROM, TO]);
  assert.equal(replies.at(-1), '451 4.3.5 Server configuration error');
  await mail.waitForLog(/warning: bad DNSBL filter syntax: "foo"/);
});
