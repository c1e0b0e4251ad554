/**
 * Postfix's client and ours look for hosts in the same DNS and go to the same ones. Postfix asks
 * port 53 of what resolv.conf names, so this runs in a network of its own, started by itself.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startDnsServer, type Zone } from '../../support/dns-server.ts';
import { isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../../support/own-network.ts';
import { type PeerScript, type SmtpPeer, startSmtpPeer } from '../../support/smtp-peer.ts';
import { type Agent, hasRealSmtp, REPORT_ALL, startAgent } from './agent.ts';

const mx = (...names: string[]) => names.map((name, at) => [10 * (at + 1), name] as const);

const ZONE: Zone = {
  'one.test': { MX: mx('mx1.test') },
  'two.test': { MX: mx('mx1.test', 'mx2.test') },
  'backup.test': { MX: mx('dead.test', 'mx2.test') },
  'dead-two.test': { MX: mx('dead.test', 'gone.test') },
  'many.test': { MX: mx('dead.test', 'gone.test', 'deaf.test', 'mx1.test') },
  'null.test': { MX: [[0, '.']] },
  'plain.test': { A: ['127.0.0.21'] },
  'alias.test': { CNAME: 'one.test' },
  'alias-host.test': { CNAME: 'plain.test' },
  'mx-alias.test': { MX: mx('alias-host.test') },
  'nothing.test': { TXT: ['x'] },
  'broken.test': { rcode: 'SERVFAIL' },
  'refused.test': { rcode: 'REFUSED' },
  'silent.test': { silent: true },
  'no-address.test': { MX: mx('nowhere.test') },
  'no-record.test': { MX: mx('nothing.test') },
  'half.test': { MX: mx('nowhere.test', 'mx2.test') },
  'broken-mx.test': { MX: mx('broken.test') },
  'half-broken.test': { MX: mx('broken.test', 'mx2.test') },
  'self.test': { MX: mx('self-host.test') },
  'self-second.test': { MX: mx('dead.test', 'self-host.test', 'mx2.test') },
  'self-best-gone.test': { MX: mx('nowhere.test', 'self-host.test') },
  'soft.test': { MX: mx('soft-host.test', 'mx2.test') },
  'soft-soft.test': { MX: mx('soft-host.test', 'soft-too.test', 'mx2.test') },
  'hard.test': { MX: mx('hard-host.test', 'mx2.test') },
  'greet.test': { MX: mx('greet-host.test', 'mx2.test') },
  'greets.test': { MX: mx('greet-host.test', 'greet-too.test', 'greet-three.test', 'mx2.test') },
  'both.test': { MX: mx('soft-host.test', 'dead.test') },
  'mx1.test': { A: ['127.0.0.21'] },
  'mx2.test': { A: ['127.0.0.22'] },
  'dead.test': { A: ['127.0.0.31'] },
  'gone.test': { A: ['127.0.0.32'] },
  'deaf.test': { A: ['127.0.0.33'] },
  'soft-host.test': { A: ['127.0.0.23'] },
  'soft-too.test': { A: ['127.0.0.24'] },
  'hard-host.test': { A: ['127.0.0.25'] },
  'greet-host.test': { A: ['127.0.0.26'] },
  'greet-too.test': { A: ['127.0.0.27'] },
  'greet-three.test': { A: ['127.0.0.28'] },
  'self-host.test': { A: ['127.0.0.1'] },
};

const PEERS: Record<string, PeerScript> = {
  '127.0.0.1': {},
  '127.0.0.21': {},
  '127.0.0.22': {},
  '127.0.0.23': { RCPT: '450 4.2.0 later' },
  '127.0.0.24': { RCPT: '451 4.2.0 later still' },
  '127.0.0.25': { RCPT: '550 5.2.0 never' },
  '127.0.0.26': { CONNECT: '421 4.3.2 busy' },
  '127.0.0.27': { CONNECT: '554 5.3.2 closed' },
  '127.0.0.28': { EHLO: '421 4.3.2 busy' },
};

/** nexthop, and what main.cf says besides. */
const CASES: readonly (readonly [nexthop: string, main?: Record<string, string>])[] = [
  ...Object.keys(ZONE).map((name) => [name] as const),
  ['missing.test'],
  ['[mx1.test]'],
  ['[missing.test]'],
  ['[broken.test]'],
  ['[nothing.test]'],
  ['[self-host.test]'],
  ['self-host.test:25'],
  ['[127.0.0.1]'],
  ['dead.test, missing.test, mx2.test'],
  ['missing.test dead.test'],
  ['soft.test', { smtp_mx_session_limit: '1' }],
  ['many.test', { smtp_mx_address_limit: '2' }],
  ['missing.test', { relayhost: 'missing.test' }],
  ['dead.test', { smtp_fallback_relay: 'mx2.test' }],
  ['missing.test', { smtp_fallback_relay: 'mx2.test' }],
  ['dead.test', { smtp_fallback_relay: 'missing.test' }],
  ['self.test', { smtp_fallback_relay: 'mx2.test' }],
  ['self-second.test', { smtp_fallback_relay: 'mx2.test' }],
  ['soft.test', { smtp_mx_session_limit: '1', smtp_fallback_relay: 'mx2.test' }],
  ['null.test', { smtp_fallback_relay: 'mx2.test' }],
  ['broken.test', { ignore_mx_lookup_error: 'yes' }],
  ['no-address.test', { smtp_defer_if_no_mx_address_found: 'yes' }],
  ['two.test', { disable_dns_lookups: 'yes' }],
  ['localhost', { smtp_host_lookup: 'native' }],
  ['missing.test', { smtp_host_lookup: 'dns, native' }],
  ['[missing.test]', { smtp_host_lookup: 'native' }],
  ['one.test', { inet_protocols: 'all' }],
  ['missing.test', { inet_protocols: 'all' }],
  ['nothing.test', { inet_protocols: 'all' }],
  ['broken.test', { inet_protocols: 'all' }],
];

if (!isInOwnNetwork) {
  const skip = hasRealSmtp ? whyNoOwnNetwork() : "needs Postfix's smtp(8)";
  test('as Postfix, for hosts in the DNS', { skip, timeout: 300_000 }, (t) =>
    runInOwnNetwork(t, __filename),
  );
} else {
  test('as Postfix, for hosts in the DNS', async (t) => {
    await startDnsServer(t, ZONE, 53);
    const peers = await startPeers(t);
    const agents = new Map<string, { readonly real: Agent; readonly ours: Agent }>();
    for (const [nexthop, main = {}] of CASES) {
      const key = JSON.stringify(main);
      const pair = agents.get(key) ?? { real: start(t, main, true), ours: start(t, main, false) };
      agents.set(key, pair);
      await t.test(`as Postfix: ${nexthop} ${key}`, async () => {
        const theirs = await play(nexthop, pair.real, peers);
        assert.deepEqual(await play(nexthop, pair.ours, peers), theirs);
      });
    }
  });
}

type Peers = ReadonlyMap<string, SmtpPeer>;

async function startPeers(t: TestContext): Promise<Peers> {
  const peers = new Map<string, SmtpPeer>();
  for (const [address, script] of Object.entries(PEERS)) {
    peers.set(address, await startSmtpPeer(t, { ...script, address, port: 25 }));
  }
  return peers;
}

function start(t: TestContext, main: Readonly<Record<string, string>>, real: boolean): Agent {
  const settings = { smtp_tcp_port: '25', max_use: '10000', ...main };
  return startAgent(t, { real, main: real ? settings : { dns_nameservers: '', ...settings } });
}

/** Who was visited and told what, and what became of the mail. */
async function play(nexthop: string, agent: Agent, peers: Peers) {
  const before = new Map([...peers].map(([address, { sessions }]) => [address, sessions.length]));
  const done = await agent.deliver(nexthop, { flags: REPORT_ALL });
  const visited: string[] = [];
  for (const [address, peer] of peers) {
    await peer.waitFor(() => peer.isIdle);
    for (const { commands } of peer.sessions.slice(before.get(address))) {
      visited.push(`${address} ${commands.join(' | ')}`);
    }
  }
  return { status: done.status, site: done.site, reports: done.reports, visited };
}
