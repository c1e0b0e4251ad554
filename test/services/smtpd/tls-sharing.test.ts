/** What processes that speak TLS have in common: keys of tickets, and certificates by name. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConnectionOptions, TLSSocket } from 'node:tls';
import { joinFiles, makeCertificates } from '../../support/certificates.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { processesOf } from '../../system/processes.ts';
import { Dialogue } from './dialogue.ts';

interface Met {
  readonly dialogue: Dialogue;
  /** Of the server. */
  readonly pid: number;
  readonly isResumed: boolean;
  readonly subject: string;
}

/** Connects, and stays. */
async function meet(mail: MailSystem, options: ConnectionOptions = {}): Promise<Met> {
  const dialogue = new Dialogue({ port: mail.port });
  await dialogue.expect(1);
  const port = dialogue.socket.localPort;
  const line = await mail.waitForLog(new RegExp(`smtpd\\[\\d+\\]: connect from \\S+\\]:${port}$`));
  for (const step of ['EHLO client.test', 'STARTTLS', { tls: options }, 'EHLO client.test']) {
    await dialogue.play(step);
  }
  assert.equal(dialogue.replies.length, 4, dialogue.replies.join('\n'));
  const { socket } = dialogue;
  assert.ok(socket instanceof TLSSocket);
  return {
    dialogue,
    pid: Number(/smtpd\[(\d+)\]/.exec(line)?.[1]),
    isResumed: socket.isSessionReused(),
    subject: String(socket.getPeerCertificate()?.subject?.CN),
  };
}

test('a ticket is good at another process, and costs nobody a session when its key is gone', async (t) => {
  const { certificate, key } = makeCertificates(t).make('mx', '/CN=mx.lab.test');
  const mail = await startMailSystem(t, {
    main: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtpd_peername_lookup: 'no',
      smtpd_client_port_logging: 'yes',
      service_processes: '2',
      default_process_limit: '2',
    },
  });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    await t.test(version, async (each) => {
      const options = { minVersion: version, maxVersion: version };
      const first = await meet(mail, options);
      await first.dialogue.play('NOOP');
      const { session } = first.dialogue;
      // It has no more slots than one, and stays: the next client meets the other process.
      const second = await meet(mail, { ...options, session });
      atEnd(each, () => second.dialogue.close());
      atEnd(each, () => first.dialogue.close());
      assert.notEqual(second.pid, first.pid);
      assert.equal(second.isResumed, true);
    });
  }
  await t.test('after a reload', async () => {
    const first = await meet(mail);
    await first.dialogue.play('NOOP');
    const { session } = first.dialogue;
    await first.dialogue.close();
    mail.run('postfix', ['reload']);
    await mail.waitForLog(/reload -- version/);
    // Whether tlsmgr is the same or a new one: the client is served.
    const again = await meet(mail, { session });
    await again.dialogue.play('NOOP');
    assert.equal(again.dialogue.replies.at(-1), '250 2.0.0 Ok');
    await again.dialogue.close();
  });
  await t.test('after the end of tlsmgr and of all servers', async () => {
    const first = await meet(mail);
    await first.dialogue.play('NOOP');
    const { session } = first.dialogue;
    await first.dialogue.close();
    for (const { name, pid } of processesOf(mail)) {
      if (['smtpd', 'tlsmgr'].includes(name)) process.kill(pid, 'SIGKILL');
    }
    const again = await eventually('a server', () =>
      meet(mail, { session }).catch(() => undefined),
    );
    assert.equal(again.isResumed, false);
    await again.dialogue.close();
  });
});

test('certificates by name, in a table that postmap -F made', async (t) => {
  const maker = makeCertificates(t);
  const { certificate, key } = maker.make('mx', '/CN=mx.lab.test');
  const one = maker.make('one', '/CN=one.test').pem;
  const rsa = maker.make('wild', '/CN=wild.test', { key: 'rsa:2048' }).pem;
  const ec = maker.make('wild-ec', '/CN=wild-ec.test').pem;
  const both = joinFiles(`${maker.directory}/both.pem`, rsa.key, rsa.cert, ec.key, ec.cert);
  const mail = await startMailSystem(t, {
    main: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtpd_tls_loglevel: '1',
      smtpd_client_port_logging: 'yes',
      smtpd_peername_lookup: 'no',
      tls_server_sni_maps: 'hash:$config_directory/sni',
    },
    files: {
      sni: `one.test ${joinFiles(`${maker.directory}/one-chain.pem`, one.key, one.cert)}\n.wild.test ${both}\n`,
    },
  });
  const { status, stderr } = mail.run('postmap', ['-F', `hash:${join(mail.config, 'sni')}`]);
  assert.equal(status, 0, stderr);
  const subjectFor = async (options: ConnectionOptions) => {
    const { dialogue, subject } = await meet(mail, options);
    await dialogue.close();
    return subject;
  };
  assert.equal(await subjectFor({ servername: 'one.test' }), 'one.test');
  assert.equal(await subjectFor({ servername: 'ONE.test' }), 'one.test');
  assert.equal(
    await subjectFor({ servername: 'a.wild.test', sigalgs: 'RSA-PSS+SHA256' }),
    'wild.test',
  );
  assert.equal(
    await subjectFor({ servername: 'b.a.wild.test', sigalgs: 'ECDSA+SHA256' }),
    'wild-ec.test',
  );
  assert.equal(await subjectFor({ servername: 'two.test' }), 'mx.lab.test');
  assert.equal(await subjectFor({}), 'mx.lab.test');
  // What was changed counts for the next client.
  joinFiles(join(mail.config, 'sni'), `two.test ${both}\n`);
  assert.equal(mail.run('postmap', ['-F', `hash:${join(mail.config, 'sni')}`]).status, 0);
  await eventually('the new certificate', async () =>
    /^wild/.test(await subjectFor({ servername: 'two.test' })),
  );
});
