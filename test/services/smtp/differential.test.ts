/** The same far ends before Postfix's client and ours: both say the same of them, and to them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startSmtpPeer } from '../../support/smtp-peer.ts';
import { type Agent, hasRealSmtp, REPORT_ALL, startAgent } from './agent.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const skip = hasRealSmtp ? false : "needs Postfix's smtp(8) and root";

const PEER_PORTS = /\b[0-9]{5}\b/g;

/** Scenarios with the same configuration share their two processes. */
const groups = new Map<string, string[]>();
for (const [name, { main = {}, protocol = 'smtp' }] of Object.entries(SCENARIOS)) {
  const named = Object.values(main).some((value) => value.includes('PORT'));
  const key = JSON.stringify([protocol, main, named ? name : '']);
  groups.set(key, [...(groups.get(key) ?? []), name]);
}

for (const names of groups.values()) {
  const [first = ''] = names;
  test(`as Postfix, ${names.length > 1 ? `and ${names.length} more` : first}`, {
    skip,
  }, async (t) => {
    const setting = SCENARIOS[first] ?? {};
    const shared = JSON.stringify(setting.main ?? {}).includes('PORT')
      ? undefined
      : { real: start(t, setting, true, ''), ours: start(t, setting, false, '') };
    for (const name of names) {
      await t.test(`as Postfix: ${name}`, async (own) => {
        const scenario = SCENARIOS[name] ?? {};
        const [theirs, ours] = await Promise.all([
          play(own, scenario, true, shared?.real),
          play(own, scenario, false, shared?.ours),
        ]);
        assert.deepEqual(ours, theirs);
      });
    }
  });
}

function start(t: TestContext, { protocol, main = {} }: Scenario, real: boolean, port: string) {
  const filled = Object.entries(main).map(([name, value]) => [name, value.replace('PORT', port)]);
  const settings = { ...(Object.fromEntries(filled) as Record<string, string>), max_use: '10000' };
  return startAgent(t, { real, protocol, main: settings });
}

/** What comes of a scenario, without what differs from run to run. */
async function play(t: TestContext, scenario: Scenario, real: boolean, shared: Agent | undefined) {
  const peer = await startSmtpPeer(t, scenario.peer);
  const port = String(peer.port);
  const agent = shared ?? start(t, scenario, real, port);
  const nexthop = (scenario.nexthop ?? '[127.0.0.1]:PORT').replaceAll('PORT', port);
  const done = await agent.deliver(nexthop, { flags: REPORT_ALL, ...scenario.mail });
  const neutral = (text: string) => text.replace(PEER_PORTS, 'PORT');
  await peer.waitFor(() => peer.isIdle);
  return {
    status: done.status,
    site: neutral(done.site),
    reports: done.reports.map((report) => ({ ...report, reason: neutral(report.reason) })),
    commands: peer.commands.map((line) => line.replace(/ IDENT=\S+/, '')),
    messages: peer.messages,
  };
}
