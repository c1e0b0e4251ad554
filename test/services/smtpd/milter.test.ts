/**
 * Milters of SMTP clients, as Postfix's smtpd and cleanup have them: the same sessions and the same
 * milters for real ones, for ours, and for one of each. What the client hears, what the milter is
 * told, what the log says, and the message in the queue have to be the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edit, type MilterScript } from '../../support/milter-peer.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { CROSSED, EARLY_SCENARIOS, SCENARIOS, usual } from './milter-scenarios.ts';
import { type Scenario, startMilterServers } from './milter-servers.ts';

test('milters are asked, heard and obeyed as by Postfix', { skip: whyNoPostfix() }, async (t) => {
  const servers = await startMilterServers(t, SCENARIOS);
  for (const name of Object.keys(SCENARIOS)) {
    await t.test(name, async () => {
      const expected = await servers.play('real-real', name);
      const ours = await servers.play('ours-ours', name, expected.log.length);
      assert.deepEqual(ours, expected);
      if (!CROSSED.has(name)) return;
      const wanted = expected.log.length;
      assert.deepEqual(await servers.play('real-ours', name, wanted), expected);
      assert.deepEqual(await servers.play('ours-real', name, wanted), expected);
    });
  }
});

/** Nothing is put off until RCPT, the queue file is opened at MAIL, and headers are completed. */
const EARLY = {
  smtpd_delay_reject: 'no',
  smtpd_delay_open_until_valid_rcpt: 'no',
  local_header_rewrite_clients: 'permit_mynetworks',
  smtpd_helo_restrictions: 'check_helo_access texthash:$config_directory/access',
  smtpd_sender_restrictions: 'check_sender_access texthash:$config_directory/access',
  soft_bounce: 'yes',
};

test('milters beside restrictions that do not wait', { skip: whyNoPostfix() }, async (t) => {
  const servers = await startMilterServers(t, EARLY_SCENARIOS, EARLY, ['real-real', 'ours-ours']);
  for (const name of Object.keys(EARLY_SCENARIOS)) {
    await t.test(name, async () => {
      const expected = await servers.play('real-real', name);
      assert.deepEqual(await servers.play('ours-ours', name, expected.log.length), expected);
    });
  }
});

/** Where Postfix's answer is a mistake, or its words are. */
const OURS: Readonly<Record<string, Scenario & { expect: RegExp }>> = {
  'a shutdown at the end refuses the message': {
    milters: [{ on: { E: ['4'] } }],
    steps: usual(),
    expect: /421 4\.7\.0 Server closing connection.*milter-reject: END-OF-MESSAGE/s,
  },
  'a quarantine before the end is obeyed, and the milter goes on': {
    milters: [{ on: { M: [edit.quarantine('early'), 'c'] } }],
    steps: usual(),
    expect: /milter-hold: MAIL from.*"R <bob@lab.test>\|".*"queue":"hold"/s,
  },
  'an answer with data that belongs to none is nonsense': {
    milters: [{ on: { R: ['cx'] } }],
    steps: usual(),
    expect: /451 4\.7\.1 Service.*reply SMFIR_CONTINUE was followed by 1 data bytes/s,
  },
  'a string without an end is nonsense': {
    milters: [{ on: { E: ['hX-A\0b', 'c'] } }],
    steps: usual(),
    expect: /451 4\.7\.1 Service.*missing string null terminator/s,
  },
  'a packet that is too long is not read': {
    milters: [{ on: { E: ['c'], R: () => 'huge' } }],
    steps: usual(),
    expect: /451 4\.7\.1 Service.*unreasonable packet length/s,
  },
  'who can not be reached costs the message its default action': {
    milters: [unreachable(), {}],
    steps: usual(),
    expect:
      /451 4\.7\.1 Service.*connect to Milter service inet:127\.0\.0\.1:1: Connection refused/s,
  },
};

function unreachable(): MilterScript {
  return { port: 1 };
}

test('what milters do wrong costs a message its default action', async (t) => {
  const servers = await startMilterServers(t, OURS, {}, ['ours-ours']);
  for (const [name, { expect }] of Object.entries(OURS)) {
    await t.test(name, async () => {
      assert.match(JSON.stringify(await servers.play('ours-ours', name)), expect);
    });
  }
});
