/**
 * Tables that are no use: each is named in the log with what is wrong and what to do; mail waits, and
 * is delivered when the table is mended. Every one is asked by a delivery agent and by an SMTP server.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { converse } from '../services/smtpd/dialogue.ts';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { freePort } from '../support/ports.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';

const MIB = 1024 * 1024;
/** More than a table's source may have; it takes no room on the disk. */
const TOO_LARGE = 300 * MIB;
const GOOD = 'user root\n';

interface BadTable {
  readonly type: string;
  /** Makes what is at `path`, in a mail system that does not run. */
  spoil(path: string, mail: MailSystem): void;
  /** What the log says, behind `error: ` or `warning: `; PATH is where the table is. */
  readonly says: string;
}

const whole = (path: string) => rmSync(path, { recursive: true, force: true });
const postalias = (mail: MailSystem, type: string, path: string) => {
  const made = mail.run('postalias', [`${type}:${path}`]);
  assert.equal(made.status, 0, made.stderr);
};
const entries = (count: number) =>
  Array.from({ length: count }, (_, index) => `u${index}: root\n`).join('');

const BAD: Readonly<Record<string, BadTable>> = {
  missing: { type: 'hash', spoil: () => {}, says: 'open database PATH.db: No such file' },
  directory: { type: 'texthash', spoil: (path) => mkdirSync(path), says: 'PATH: Is a directory' },
  circle: {
    type: 'texthash',
    spoil: (path) => symlinkSync(path, path),
    says: 'open database PATH: Too many levels of symbolic links',
  },
  large: {
    type: 'texthash',
    spoil(path) {
      writeFileSync(path, '');
      truncateSync(path, TOO_LARGE);
    },
    says: `PATH: ${TOO_LARGE} bytes, more than the \\d+ a table's source may have`,
  },
  binary: {
    type: 'hash',
    spoil: (path) => writeFileSync(`${path}.db`, Buffer.alloc(100_000, 0xa5)),
    says: 'open database PATH.db: it is of an unknown format, not a table of ours; run: post(?:alias|map) hash:PATH',
  },
  empty: {
    type: 'hash',
    spoil: (path) => writeFileSync(`${path}.db`, ''),
    says: 'open database PATH.db: it is an empty file, not a table of ours; run: post(?:alias|map)',
  },
  half: {
    type: 'lmdb',
    spoil(path, mail) {
      writeFileSync(path, entries(20_000));
      postalias(mail, 'lmdb', path);
      truncateSync(`${path}.lmdb`, 8192);
      // The command that mends it needs the source.
      writeFileSync(path, '');
    },
    says: 'open database PATH.lmdb: .*malformed.*; run: post(?:alias|map) lmdb:PATH',
  },
  foreign: {
    type: 'btree',
    spoil(path) {
      if (whyNoPostfix() !== false) writeFileSync(`${path}.db`, 'x');
      else {
        writeFileSync(path, 'user: root\n');
        spawnSync('/usr/sbin/postalias', [`btree:${path}`]);
      }
    },
    says: 'open database PATH.db: it is .*, not a table of ours; run: post(?:alias|map) btree:PATH',
  },
  unfinished: {
    type: 'sqlite',
    spoil: (path) => writeFileSync(path, 'dbpath = /nosuch\nquery\n'),
    says: "PATH, line 2: missing '=' after attribute name",
  },
};

/** Puts a good table in the place of a bad one. */
function mend({ type }: BadTable, path: string, mail: MailSystem): void {
  whole(path);
  if (type === 'sqlite') {
    const database = `${path}.sqlite`;
    const script = `new (require('better-sqlite3'))(process.argv[1]).exec(
      "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('user', 'root')");`;
    assert.equal(spawnSync(process.execPath, ['-e', script, database]).status, 0);
    writeFileSync(path, `dbpath = ${database}\nquery = SELECT v FROM t WHERE k = '%s'\n`);
    return;
  }
  writeFileSync(path, type === 'texthash' ? GOOD : 'user: root\n');
  if (type !== 'texthash') postalias(mail, type, path);
}

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';

test('mail waits for tables that are no use, and then is delivered', { skip }, async (t) => {
  const names = Object.keys(BAD);
  const { port: mapPort, answer } = await startMap(t);
  const ports = await Promise.all([...names, 'vanishing'].map(() => freePort()));
  const tableOf = (name: string) => `${BAD[name]?.type}:$config_directory/tables/${name}`;
  const agent = (name: string, table: string) =>
    `${name} unix - n n - - local -o alias_maps=${table}`;
  const server = (table: string, at: number) =>
    `127.0.0.1:${ports[at]} inet n - n - - smtpd -o syslog_name=at-${at}` +
    ` -o { smtpd_recipient_restrictions = check_recipient_access ${table}, permit_mynetworks, reject }` +
    ' -o smtpd_relay_restrictions= -o smtpd_reject_unlisted_recipient=no';
  const mail = await startMailSystem(t, {
    mailDirectory: true,
    main: {
      transport_maps: `inline:{ ${[...names, 'vanishing'].map((name) => `${name}.test=${name}:`).join(', ')} }`,
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      minimal_backoff_time: '1s',
      queue_run_delay: '1s',
      // An unknown user would bounce: what waits does so for its table.
      local_recipient_maps: '',
    },
    master: [
      ...names.map((name) => agent(name, tableOf(name))),
      ...[...names.map(tableOf), `socketmap:inet:127.0.0.1:${mapPort}:access`].map(server),
    ],
    stopped: true,
  });
  const paths = new Map(names.map((name) => [name, join(mail.config, 'tables', name)]));
  mkdirSync(join(mail.config, 'tables'));
  for (const [name, path] of paths) BAD[name]?.spoil(path, mail);
  mail.start();
  const recipients = names.map((name) => `user@${name}.test`);
  const input = 'Subject: waits\n\nbody\n';
  assert.equal(mail.run('sendmail', ['-f', 'root@lab.test', ...recipients], input).status, 0);
  const deferred = (name: string) =>
    mail.waitForLog(new RegExp(`to=<user@${name}\\.test>.*status=deferred`));
  for (const [at, name] of names.entries()) {
    const { says } = BAD[name] as BadTable;
    const text = says.replaceAll('PATH', paths.get(name) ?? '');
    await mail.waitForLog(new RegExp(`/local\\[\\d+\\]: (?:error|warning): .*${text}`));
    await deferred(name);
    const steps = ['EHLO x.test', 'MAIL FROM:<>', `RCPT TO:<user@${name}.test>`];
    const replies = await converse({ port: ports[at] as number }, steps);
    assert.match(replies.at(-1) ?? '', /^451 4\.3\.[05] /, name);
    await mail.waitForLog(new RegExp(` at-${at}/smtpd.*: (?:error|warning): .*${text}`));
  }
  const vanishing = () => {
    const steps = ['EHLO x.test', 'MAIL FROM:<>', 'RCPT TO:<user@vanishing.test>'];
    return converse({ port: ports.at(-1) as number }, steps);
  };
  assert.match((await vanishing()).at(-1) ?? '', /^451 4\.3\.[05] /);
  await mail.waitForLog(/smtpd.*: warning: .*socketmap:inet:127\.0\.0\.1:\d+:access /);
  answer('OK REJECT it is back');
  for (const [name, path] of paths) mend(BAD[name] as BadTable, path, mail);
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  await eventually('all mail delivered', () => {
    mail.run('postqueue', ['-f']);
    return mail.ids('deferred').length + mail.ids('active').length === 0;
  });
  for (const recipient of recipients) {
    const orig = recipient.replace('.', '\\.');
    await mail.waitForLog(new RegExp(`to=<\\S+>, orig_to=<${orig}>.*status=sent`));
  }
  assert.match((await vanishing()).at(-1) ?? '', /^554 5\.7\.1 .*it is back/);
  assert.doesNotMatch(mail.log(), /status=bounced|panic/);
  for (const [at, name] of names.entries()) {
    const steps = ['EHLO x.test', 'MAIL FROM:<>', `RCPT TO:<other@${name}.test>`];
    assert.equal(
      (await converse({ port: ports[at] as number }, steps)).at(-1),
      '250 2.1.5 Ok',
      name,
    );
  }
});

/** A socketmap server that goes away in mid-query, until it is given something to answer. */
async function startMap(t: Parameters<typeof atEnd>[0]) {
  let reply: string | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const known = reply !== undefined && bytes.toString().includes('user');
      const text = known ? (reply ?? '') : 'NOTFOUND ';
      // Half a reply, and then nothing.
      if (reply === undefined) socket.end('12:OK ro');
      else socket.write(`${text.length}:${text},`);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return {
    port: address.port,
    answer: (text: string) => {
      reply = text;
    },
  };
}
