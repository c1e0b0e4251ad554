/**
 * Never an open relay: whatever an address looks like, and whatever is left out of main.cf, mail that a
 * stranger sends to somebody else's domain is not taken, and does not leave.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { type SmtpPeer, startSmtpPeer } from '../../support/smtp-peer.ts';
import { Dialogue, send } from './dialogue.ts';
import { TRICKS } from './relay-tricks.ts';

const STRANGER = '127.0.0.5';
const FRIEND = '127.0.0.1';

/** Whatever else is configured, these are the strangers' only ways in. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'the defaults': {},
  'relay control among the recipient restrictions': {
    smtpd_relay_restrictions: '',
    smtpd_recipient_restrictions: 'permit_mynetworks, reject_unauth_destination',
  },
  'recipient restrictions that permit everything': { smtpd_recipient_restrictions: 'permit' },
  'restrictions of strangers that permit everything': {
    smtpd_client_restrictions: 'permit',
    smtpd_helo_restrictions: 'permit',
    smtpd_sender_restrictions: 'permit',
    smtpd_delay_reject: 'no',
  },
  'nobody is unknown': {
    local_recipient_maps: '',
    relay_recipient_maps: '',
    virtual_mailbox_maps: '',
    smtpd_reject_unlisted_recipient: 'no',
  },
  'addresses without operators': { allow_percent_hack: 'no', swap_bangpath: 'no' },
  'no domain of our own': { mydestination: '', relay_domains: '', local_recipient_maps: '' },
  'nothing is appended': { append_at_myorigin: 'no', append_dot_mydomain: 'yes' },
  'no network of our own': { mynetworks: '' },
};

async function start(t: TestContext, main: Readonly<Record<string, string>>) {
  const peer = await startSmtpPeer(t, {});
  const mail = await startMailSystem(t, {
    main: {
      mynetworks: `${FRIEND}/32`,
      relay_domains: 'relay.test',
      virtual_alias_domains: 'alias.test',
      virtual_alias_maps: 'inline:{known@alias.test=root@lab.test}',
      virtual_mailbox_domains: 'box.test',
      virtual_mailbox_maps: 'inline:{known@box.test=x}',
      local_transport: 'discard:',
      virtual_transport: 'discard:',
      relay_transport: 'discard:',
      default_transport: `smtp:[127.0.0.1]:${peer.port}`,
      smtpd_peername_lookup: 'no',
      smtpd_error_sleep_time: '0',
      smtpd_hard_error_limit: '1000',
      ...main,
    },
  });
  return { mail, peer };
}

/** Offers every trick; sends one message to all that were taken. @returns those */
async function offer({ port }: MailSystem, from: string, smtputf8: boolean): Promise<string[]> {
  const client = new Dialogue({ port, from });
  await client.expect(1);
  await client.play('EHLO client.test');
  await client.play(`MAIL FROM:<spammer@client.test>${smtputf8 ? ' SMTPUTF8' : ''}`);
  const taken: string[] = [];
  for (const trick of TRICKS) {
    await client.play(`RCPT TO:${trick}`);
    const reply = client.replies.at(-1) ?? '';
    if (reply.startsWith('250')) taken.push(trick);
    else assert.match(reply, /^[45]\d\d /, trick);
  }
  await client.play('DATA');
  if (taken.length > 0) {
    await client.play(send('Subject: buy\r\n\r\nnow\r\n.\r\n'));
    assert.match(client.replies.at(-1) ?? '', /^250 /);
  }
  await client.play('QUIT');
  await client.close();
  return taken;
}

/** Waits until nothing is left to be sent. @returns whom the outside got mail for */
async function sentOutside(mail: MailSystem, peer: SmtpPeer): Promise<string[]> {
  await mail.waitUntilEmpty();
  const recipients = peer.messages.flatMap((message) => message.recipients);
  // Everybody may write to our postmaster, who is outside where we have no domain of our own.
  return recipients.filter((recipient) => recipient !== 'postmaster@mx.lab.test');
}

for (const [name, main] of Object.entries(SETTINGS)) {
  test(`no stranger relays with ${name}`, async (t) => {
    const { mail, peer } = await start(t, main);
    for (const smtputf8 of [false, true]) await offer(mail, STRANGER, smtputf8);
    assert.deepEqual(await sentOutside(mail, peer), []);
    // The door to the outside is there.
    const taken = await offer(mail, FRIEND, false);
    const outside = await sentOutside(mail, peer);
    if (main.mynetworks === '') assert.deepEqual(outside, []);
    else assert.ok(taken.includes('<someone@far.test>') && outside.includes('someone@far.test'));
  });
}

test('without any relay control there is no service', async (t) => {
  const { mail } = await start(t, {
    smtpd_relay_restrictions: '',
    smtpd_recipient_restrictions: 'permit_mynetworks',
  });
  const client = new Dialogue({ port: mail.port, from: STRANGER });
  t.after(() => client.socket.destroy());
  await mail.waitForLog(
    /fatal: in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: reject_unauth_destination/,
  );
  assert.deepEqual(client.replies, []);
});
