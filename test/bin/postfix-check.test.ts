/** What `postfix check` says of an instance, beside what Postfix's own says of the same one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';

const REAL = '/usr/sbin/postfix';
const OURS = join(BUILD, 'bin/postfix');
const skip = whyNoPostfix();
const NOBODY = 65534;

interface Instance {
  readonly base: string;
  readonly config: string;
  readonly queue: string;
}

const MASTER = `smtp unix - - n - - smtp
postlog unix-dgram n - n - 1 postlogd
`;

function instance(t: TestContext, main = ''): Instance {
  const base = freshDirectory(t);
  chmodSync(base, 0o755);
  const [config, queue, data] = [join(base, 'c'), join(base, 'q'), join(base, 'd')];
  for (const directory of [config, queue, data]) mkdirSync(directory);
  const owner = spawnSync('id', ['-u', 'postfix'], { encoding: 'utf8' }).stdout;
  chownSync(data, Number(owner), 0);
  writeSettled(join(config, 'master.cf'), MASTER);
  writeSettled(
    join(config, 'main.cf'),
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
inet_interfaces = 127.0.0.1
maillog_file = ${base}/log
maillog_file_prefixes = ${base}
${main}`,
  );
  return { base, config, queue };
}

/** The lines of `postfix check` in the log, sorted, and its status. */
function check(program: string, { base, config }: Instance) {
  const { status } = spawnSync(program, ['-c', config, 'check'], { encoding: 'utf8' });
  const log = join(base, 'log');
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  rmSync(log, { force: true });
  const lines = text.split('\n').map((line) => line.replace(/^.*?\[\d+\]: /, ''));
  // Where our programs are is another place.
  const common = lines.filter((line) => line !== '' && !line.includes(BUILD));
  return { status, lines: [...new Set(common)].sort() };
}

test('postfix check makes the missing directories, as Postfix does', { skip }, (t) => {
  const [ours, theirs] = [instance(t), instance(t)];
  assert.deepEqual(check(OURS, ours), check(REAL, theirs));
  for (const name of ['active', 'bounce', 'deferred', 'maildrop', 'pid', 'private', 'trace']) {
    const places = [ours, theirs].map(({ queue }) => statSync(join(queue, name)));
    const [one, other] = places.map(({ mode, uid, gid }) => ({ mode, uid, gid }));
    assert.deepEqual(one, other, name);
  }
});

const SPOILED: Readonly<Record<string, (place: Instance) => void>> = {
  'a foreign file in the configuration': ({ config }) => {
    writeFileSync(join(config, 'x'), '');
    chownSync(join(config, 'x'), NOBODY, 0);
  },
  'main.cf for everybody': ({ config }) => {
    chmodSync(join(config, 'main.cf'), 0o666);
  },
  'links in the configuration': ({ config, base }) => {
    writeFileSync(join(base, 'far'), '');
    chmodSync(join(base, 'far'), 0o664);
    symlinkSync(join(base, 'far'), join(config, 'leaves'));
    symlinkSync('main.cf', join(config, 'stays'));
    symlinkSync('nowhere', join(config, 'dangles'));
    symlinkSync('circle', join(config, 'circle'));
    symlinkSync('main.cf', join(config, 'foreign'));
    lchownSync(join(config, 'foreign'), NOBODY, NOBODY);
  },
  "a queue that is not root's": ({ queue }) => {
    chownSync(queue, NOBODY, 0);
    chmodSync(join(queue, 'pid'), 0o777);
  },
  'data of others': ({ base }) => {
    writeFileSync(join(base, 'd/x'), '');
    chmodSync(join(base, 'd/x'), 0o606);
    mkdirSync(join(base, 'd/sub'));
  },
  'queue directories of others': ({ queue }) => {
    // Postfix's postsuper, which runs as mail_owner, has to get in.
    for (const name of ['deferred', 'public', 'maildrop']) {
      chownSync(join(queue, name), 0, 0);
      chmodSync(join(queue, name), 0o755);
    }
    mkdirSync(join(queue, 'trace/A'));
  },
  'old copies in the chroot': ({ queue }) => {
    mkdirSync(join(queue, 'etc'));
    writeFileSync(join(queue, 'etc/hosts'), 'old\n');
    cpSync('/etc/passwd', join(queue, 'etc/passwd'));
    writeFileSync(join(queue, 'etc/nosuch-file'), 'x');
    chownSync(join(queue, 'etc/passwd'), NOBODY, 0);
    mkdirSync(join(queue, 'lib/sub'), { recursive: true });
  },
  'a damaged message': ({ queue }) => {
    writeFileSync(join(queue, 'corrupt/4F2B81A03C'), '');
  },
};

for (const [what, spoil] of Object.entries(SPOILED)) {
  test(`postfix check warns of ${what} as Postfix does`, { skip }, (t) => {
    const place = instance(t);
    check(REAL, place);
    spoil(place);
    const real = check(REAL, place);
    assert.notDeepEqual(real.lines, []);
    assert.deepEqual(check(OURS, place), real);
  });
}

for (const level of ['0', '2', '3.5', '3.6', '3.7', '99']) {
  test(`postfix check speaks of compatibility_level = ${level} as Postfix does`, { skip }, (t) => {
    const place = instance(t, `compatibility_level = ${level}\n`);
    const spoken = ({ lines }: { lines: string[] }) =>
      lines.filter((line) => !line.includes('overriding earlier entry'));
    assert.deepEqual(spoken(check(OURS, place)), spoken(check(REAL, place)));
  });
}

/** The values that every program of Postfix refuses; here the check does. */
for (const setting of [
  'line_length_limit=abc',
  'line_length_limit=-1',
  'line_length_limit=99999999999',
  'line_length_limit=0x1000',
  'smtputf8_enable=true',
  'smtputf8_enable=',
  'ipc_timeout=5x',
  'ipc_timeout=0',
  'ipc_timeout=9999999w',
  'ipc_timeout=1 h',
  'hash_queue_depth=0',
  'message_size_limit=x',
  'message_size_limit=99999999999999999999',
  'myhostname=-a',
  'compatibility_level=foo',
  'inet_protocols=foo',
  'mynetworks_style=foo',
  'setgid_group=nosuch',
  'mail_owner=nosuch',
  'default_privs=root',
  'mail_owner=root',
  'default_privs=postfix',
  'setgid_group=postfix',
  'default_verp_delimiters=+',
  'delay_logging_resolution_limit=7',
  'enable_long_queue_ids=1',
  'myorigin=/nosuch/mailname',
  'myorigin=/dev/null',
  'myorigin=one.test, two.test',
]) {
  test(`postfix check refuses ${setting} in the words of Postfix`, { skip }, (t) => {
    const place = instance(t, `${setting}\n`);
    const file = join(place.config, 'main.cf');
    const lines = readFileSync(file, 'utf8').split('\n');
    const first = lines.filter((line) => !line.startsWith(`${setting.split('=')[0]} =`));
    writeSettled(file, first.join('\n'));
    const args = ['-c', place.config, '-q', 'x', 'static:y'];
    const real = spawnSync('/usr/sbin/postmap', args, { encoding: 'utf8', argv0: 'postmap' });
    const text = /^postmap: fatal: (.*)$/m.exec(real.stderr)?.[1] ?? 'Postfix accepts it';
    const ours = spawnSync(OURS, ['-c', place.config, 'check'], { encoding: 'utf8' });
    assert.equal(ours.status, 1);
    assert.ok(ours.stderr.includes(`fatal: ${text.trimEnd()}`), `${text}\n${ours.stderr}`);
    assert.match(ours.stderr, /main\.cf, line \d+/);
  });
}

test('postfix check names what main.cf and master.cf set in vain, with file and line', {
  skip,
}, (t) => {
  const main =
    'nosuch_parameter = 1\nmine = 2\nrelayhost = $mine\nqmqpd_authorized_clients = x\n' +
    'lmtp_cname_overrides_servername = no\nproxy_read_maps = $lmtp_cname_overrides_servername\n';
  const place = instance(t, main);
  const entry =
    'x unix - - n - - smtp\n  -o nosuch_option=1 -o own=$q -o q=1 -o smtp_bind_address=\n';
  writeSettled(join(place.config, 'master.cf'), MASTER + entry);
  const { stderr, status } = spawnSync(OURS, ['-c', place.config, 'check'], { encoding: 'utf8' });
  assert.equal(status, 0);
  const vain = stderr.split('\n').filter((line) => line.includes('does not honour'));
  const end = 'is set, but Posthaste does not honour it';
  const label = 'postfix/postfix-script: warning:';
  assert.deepEqual(vain, [
    `${label} ${place.config}/main.cf, line 7: parameter "nosuch_parameter" ${end}`,
    `${label} ${place.config}/main.cf, line 10: parameter "qmqpd_authorized_clients" ${end}`,
    `${label} ${place.config}/main.cf, line 11: parameter "lmtp_cname_overrides_servername" ${end}`,
    `${label} ${place.config}/master.cf, line 3: service x/unix: -o: parameter "nosuch_option" ${end}`,
    `${label} ${place.config}/master.cf, line 3: service x/unix: -o: parameter "own" ${end}`,
  ]);
});

test('postfix check names the services that take passwords in the clear', { skip }, (t) => {
  const place = instance(t, 'smtpd_sasl_auth_enable = yes\n');
  const inet = (name: string, ...options: string[]) =>
    `${name} inet n - n - - smtpd${options.map((each) => ` -o ${each}`).join('')}\n`;
  const entries = [
    inet('smtp'),
    inet('submission', 'smtpd_tls_security_level=encrypt'),
    inet('smtps', 'smtpd_tls_wrappermode=yes'),
    inet('2525', 'smtpd_tls_auth_only=yes'),
    inet('2526', 'smtpd_sasl_security_options=noplaintext,noanonymous'),
    inet('2527', 'smtpd_sasl_auth_enable=no'),
    inet('2528', 'smtpd_tls_security_level=may'),
  ];
  writeSettled(join(place.config, 'master.cf'), MASTER + entries.join(''));
  const { stderr } = spawnSync(OURS, ['-c', place.config, 'check'], { encoding: 'utf8' });
  const named = [
    ...stderr.matchAll(/line \d+: service (\S+): passwords may be sent in the clear/g),
  ];
  assert.deepEqual(
    named.map(([, name]) => name),
    ['smtp', '2528'],
  );
});

test('postfix check names what smtpd.conf of the Cyrus library asks for in vain', { skip }, (t) => {
  const place = instance(t, 'smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n');
  const conf = (name: string) => join(place.config, 'sasl', `${name}.conf`);
  mkdirSync(join(place.config, 'sasl'));
  writeFileSync(conf('smtpd'), 'pwcheck_method: saslauthd\nmech_list: PLAIN DIGEST-MD5\n');
  writeFileSync(conf('sql'), 'pwcheck_method: auxprop\nauxprop_plugin: sql\n');
  const inet = (name: string, options = '') => `${name} inet n - n - - smtpd${options}\n`;
  const entries = [
    inet('smtp'),
    inet('2525'),
    inet('2526', ' -o smtpd_sasl_path=sql'),
    inet('2527', ' -o smtpd_sasl_path=sql -o smtpd_sasl_type=dovecot'),
    inet('2528', ' -o smtpd_sasl_path=sql -o smtpd_sasl_auth_enable=no'),
  ];
  writeSettled(join(place.config, 'master.cf'), MASTER + entries.join(''));
  const { stderr } = spawnSync(OURS, ['-c', place.config, 'check'], { encoding: 'utf8' });
  assert.deepEqual(
    stderr.split('\n').flatMap((line) => /warning: (.*\/sasl\/.*)/.exec(line)?.[1] ?? []),
    [
      `${conf('smtpd')}, line 2: mech_list: DIGEST-MD5 is not built in Posthaste: clients are offered the others`,
      `${conf('sql')}, line 2: auxprop_plugin: "sql" is not built in Posthaste: specify some of sasldb: clients can't log in`,
    ],
  );
});
