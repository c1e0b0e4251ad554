/**
 * Names that only the DNS knows, in inet_interfaces and in master.cf: libc is asked for them, by
 * Postfix's programs and by ours. In a network of its own, where resolv.conf names a server of ours.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { converse } from '../services/smtpd/dialogue.ts';
import { atEnd } from '../support/cleanup.ts';
import { BUILD } from '../support/mail-system.ts';
import { isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../support/own-network.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, runTool, startSystemOf } from './makers.ts';

const ZONE = {
  'one.far.test': { A: ['127.0.0.7', '127.0.0.8'] },
  'alias.far.test': { CNAME: 'two.far.test' },
  'two.far.test': { A: ['127.0.0.9'] },
};
const PORT = 2600;

if (!isInOwnNetwork) {
  test('names that only the DNS knows', { skip: whyNoPostfix() || whyNoOwnNetwork() }, (t) =>
    runInOwnNetwork(t, process.argv[1] ?? ''),
  );
} else {
  // inet_interfaces may only name what the machine has.
  for (const address of ['127.0.0.7', '127.0.0.8']) {
    spawnSync('ip', ['address', 'add', `${address}/8`, 'dev', 'lo']);
  }
  for (const [at, maker] of MAKERS.entries()) {
    test(`services listen at addresses that the DNS has (${maker})`, async (t) => {
      await startNameServer(t);
      const port = PORT + at;
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        main: {
          inet_interfaces: 'one.far.test',
          mynetworks: undefined,
          mynetworks_style: 'host',
          smtpd_peername_lookup: 'no',
        },
        master: [
          `${port} inet n - n - - smtpd -o smtpd_banner=all`,
          `alias.far.test:${port} inet n - n - - smtpd -o smtpd_banner=alias`,
        ],
      });
      const greeting = async (host: string) => (await converse({ port, host }, []))[0];
      assert.equal(await greeting('127.0.0.7'), '220 all');
      assert.equal(await greeting('127.0.0.8'), '220 all');
      assert.equal(await greeting('127.0.0.9'), '220 alias');
      const { stdout } = runTool(maker, mail, 'postconf', ['-dh', 'mynetworks']);
      assert.notEqual(stdout, '');
      const said = runTool(maker, mail, 'postconf', ['-h', 'mynetworks']).stdout.trim().split(' ');
      assert.deepEqual(said.sort(), ['127.0.0.7/32', '127.0.0.8/32']);
      const listenAt = (name: string) =>
        runTool(maker, mail, 'postconf', ['-e', `inet_interfaces=${name}`]);
      listenAt('nosuch.far.test');
      const { status, stderr } = runTool(maker, mail, 'postconf', ['-h', 'mynetworks']);
      // Postfix could not be stopped with it.
      listenAt('one.far.test');
      assert.equal(status, 1);
      assert.match(stderr, /fatal: .*host not found: nosuch\.far\.test/);
    });
  }
}

async function startNameServer(t: Parameters<typeof atEnd>[0]): Promise<void> {
  const program = join(BUILD, 'test/support/daemons/name-server.cjs');
  const server = spawn(process.execPath, [program, JSON.stringify(ZONE)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  atEnd(t, () => server.kill());
  await once(server.stdout, 'data');
}
