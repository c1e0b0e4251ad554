import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { posthasteParameters } from '../../lib/config/parameters/posthaste.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { writeSettled } from '../support/settled-file.ts';

const REAL = '/usr/sbin/postconf';
const OURS = join(BUILD, 'bin/postconf');
const skip = existsSync(REAL) ? false : `needs ${REAL}`;

const MAIN = `# comment 1
compatibility_level=3.6
command_directory=/usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mynetworks = 127.0.0.0/8,
# inner comment

    192.0.2.0/24
relayhost = $zz $nope1 $nope1
myorigin = z
  # c2
zed = $nope2
mailbox_command = $nope3
virtual_alias_maps = $virtual_maps, ldap:people
people_server_host = x
virtual_maps = c
foo_class = permit
bar = reject
smtpd_restriction_classes = foo_class, bar
default_privs = \${g2?{$g3}}
g2 = 2
g3 =
g4 = x
sender_based_routing = x
mydestination = {a b},   c
\td
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_non_fqdn_sender reject_unknown_sender_domain check_sender_access hash:/etc/postfix/sender_access { check_policy_service { inet:1.2.3.4:80, timeout=10s } }
g4 = y
`;

const MASTER = `# head
smtp inet n - y - - smtpd -o zz=1 -o g4=4 -o virtual_maps=5 -o relayhost=$g9
# between
   -o a=b -o { c = d e }
# more

 -v
ab unix - - n - - lmtp -o g7=$g4
cd unix - - n - - smtp -o cd_destination_rate_delay=3 -o spa_time_limit=4 -o foo_time_limit=3
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_relay_restrictions = permit_sasl_authenticated reject }
  -o {smtpd_sasl_auth_enable=yes} -o smtpd_foo=$q -v
  -o smtpd_helo_required=$nothing -o q=1
127.0.0.1:2525 inet n - n - - smtpd -v -D -o zz=1 -v -o y=1 -x -S a b c -o d=1
pickup    unix  n       -       y       60      1       pickup
spa unix - n n - 0 spawn user=nobody argv=/bin/cat { x y }
pip unix - n n - 10 pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d \${recipient} aaaaaaaaaaaaaaaaaaaaaaaa { bbbbbbbbbbb bbbbbbbbbbbbbbbbbb } cccccccccccccccccccccc
postlog   unix-dgram n  -       n       -       1       postlogd
`;

function configure(t: TestContext): string {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), MAIN);
  writeFileSync(join(directory, 'master.cf'), MASTER);
  return directory;
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  /** Lines on stderr, sorted and each once: Postfix repeats some, in the order of a hash table. */
  readonly warnings: readonly string[];
}

function run(program: string, directory: string, args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(program, [...args], {
    encoding: 'utf8',
    argv0: 'postconf',
    cwd: directory,
    env: { PATH: process.env['PATH'], MAIL_CONFIG: '.' },
  });
  const lines = stderr.replaceAll(' ./', ' ').split('\n');
  const warnings = [...new Set(lines.filter((line) => !OVERRIDING.test(line)))].sort();
  return { status, stdout, warnings };
}

/** Postfix reads main.cf several times into one table, and then says this of innocent lines. */
const OVERRIDING = /overriding earlier entry/;

/** What Postfix does not have, or what differs with the installation and the process. */
const OWN = new RegExp(
  `^(?:${Object.keys(posthasteParameters).join('|')}|process_id|command_directory|daemon_directory) =.*\n`,
  'gm',
);

for (const line of [
  '-d',
  '',
  '-n',
  '-nf',
  '-nx',
  '-nh',
  '-nH',
  '-x',
  '-f',
  '-C service',
  '-C user',
  '-C user,service -n',
  '-C foo',
  '-d relayhost nosuch',
  'nosuch relayhost',
  '-h proxy_read_maps',
  '-hf proxy_read_maps smtpd_expansion_filter',
  '-o relayhost=q -o u=1 relayhost u',
  '-o relayhost="q" -o u="\'1"x relayhost u',
  '-o u=" u',
  '-dx mydestination',
  '-M',
  '-Mf',
  '-Mx',
  '-Mxf submission',
  '-M submission/inet smtp',
  '-M */unix nosuch',
  '-M smtp/inet/x',
  '-F',
  '-Ff submission',
  '-FH pickup',
  '-Fh smtp',
  '-F */inet/command',
  '-F pickup/unix/bogus',
  '-F a/b/c/d',
  '-P',
  '-Pf',
  '-Px submission',
  '-Ph submission',
  '-PH',
  '-P submission/inet/q',
  '-P submission/inet/nosuch',
  '-l',
  '-A',
  '-T foo',
  '-T public-key-algorithms',
  '-T',
  '-T run-version -T run-version',
  '-T run-version -x',
  '-T Run-version',
  '-m -x',
  '-c /nonexistent -m',
  '-c /nonexistent -l',
  '-c /nonexistent -P',
  '-Z',
  '-c',
  '-d -n',
  '-e -n',
  '-h -H',
  '-M -P',
  '-a -m',
  '-e -#',
  '-M -h',
  '-F -X',
]) {
  test(`postconf ${line} prints what Postfix's prints`, { skip }, (t) => {
    const directory = configure(t);
    const args = line.split(' ').filter((word) => word !== '');
    const real = run(REAL, directory, args);
    const ours = run(OURS, directory, args);
    assert.equal(ours.stdout.replace(OWN, ''), real.stdout.replace(OWN, ''));
    assert.deepEqual(ours.warnings, real.warnings);
    assert.equal(ours.status, real.status);
  });
}

for (const args of [
  ['-e', 'mynetworks =   10.0.0.0/8,  c  ', 'new=1'],
  ['relayhost=zzz'],
  ['g4='],
  ['g4=1', 'g4=2'],
  ['new= x  y\tz'],
  ['-X', 'g4', 'mynetworks', 'nosuch'],
  ['-#', 'g4', 'mynetworks', 'myorigin'],
  ['-e'],
  ['-e', 'foo'],
  ['-e', '=x'],
  ['-X'],
  ['-X', 'a=b'],
  ['-X', 'g4', 'a=b'],
  ['relayhost', 'a=b'],
  ['-X', ''],
  ['-X', '#relayhost'],
  ['-e', 'a=b\nc'],
  ['-M', 'smtps/inet=smtps inet n - y - - smtpd -o a=b -o { q = r s }'],
  ['-M', 'pickup/unix=pickupx fifo n - y - - pickup -v -o a=b'],
  ['-M', 'smtp/inet=smtp inet n - - - 3 smtpd'],
  ['-M', '*/inet=smtp inet n - - - 3 smtpd'],
  ['-M', 'smtps/inet=smtps inet n x y - - smtpd'],
  ['-M', 'smtps/inet=smtps inet n - y'],
  ['-M', 'smtps=x'],
  ['-M#', 'smtp/inet', 'spa/unix'],
  ['-MX', 'smtp/inet'],
  ['-MX', 'no/such'],
  ['-MX', 'smtp'],
  ['-F', 'pickup/unix/chroot=n'],
  ['-F', '*/*/chroot=n'],
  ['-F', 'pickup/unix/wakeup=61', 'pickup/unix/process_limit=0'],
  ['-F', 'smtp/inet/service=foo'],
  ['-F', 'spa/unix/command=spawn -v -o a=b user=nobody argv=/bin/cat { x y }'],
  ['-F', 'smtp/inet/chroot=x'],
  ['-F', 'smtp/inet/bogus=x'],
  ['-F', 'smtp/inet/type=a b'],
  ['-F', 'no/inet/chroot=y'],
  ['-P', 'smtp/inet/a=z'],
  ['-P', 'smtp/inet/n=z', 'spa/unix/t=2'],
  ['-P', 'smtp/inet/n=a b'],
  ['-P', 'smtp/inet/*=a'],
  ['-PX', 'smtp/inet/c'],
  ['-PX', 'no/unix/c'],
  ['-PX', 'smtp/inet/*'],
]) {
  test(`postconf ${args.join(' ')} leaves the files as Postfix's leaves them`, { skip }, (t) => {
    const [theirs, ours] = [configure(t), configure(t)];
    for (const directory of [theirs, ours]) {
      appendFileSync(join(directory, 'master.cf'), 'smtp inet n - n - - smtpd\n');
    }
    const expected = run(REAL, theirs, args);
    assert.deepEqual(run(OURS, ours, args), expected);
    for (const file of ['main.cf', 'master.cf']) {
      const read = (directory: string) => readFileSync(join(directory, file), 'utf8');
      assert.equal(read(ours), read(theirs), file);
    }
  });
}

test('an edit leaves no work file, and adds the line end that was missing', (t) => {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), 'a = \u00e9\nrelayhost = x');
  assert.deepEqual(run(OURS, directory, ['new=\u00fc']).warnings, ['']);
  assert.equal(
    readFileSync(join(directory, 'main.cf'), 'utf8'),
    'a = \u00e9\nrelayhost = x\nnew = \u00fc\n',
  );
  assert.deepEqual(readdirSync(directory), ['main.cf']);
});

test('editors that run at the same time lose nothing', async (t) => {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), '');
  const names = ['a', 'b', 'c', 'd'];
  const editors = names.map((name) => `'${OURS}' -c '${directory}' ${name}=1`).join(' & ');
  spawnSync('sh', ['-c', `${editors} & wait`]);
  const lines = readFileSync(join(directory, 'main.cf'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(lines.sort(), ['a = 1', 'b = 1', 'c = 1', 'd = 1']);
});

test('postconf -T names the library as OpenSSL does', (t) => {
  const directory = configure(t);
  for (const mode of ['compile-version', 'run-version']) {
    const { stdout } = run(OURS, directory, ['-T', mode, 'ignored']);
    assert.match(stdout, /^OpenSSL 3\.\d+\.\d+\S* +\d{1,2} [A-Z][a-z]{2} \d{4}\n$/);
    assert.ok(stdout.startsWith(`OpenSSL ${process.versions.openssl} `));
  }
});

test('postconf -c . names files as it was told', { skip }, (t) => {
  const directory = configure(t);
  for (const args of [
    ['-c', '.', '-n'],
    ['-c', './', '-M'],
    ['-c', 'no', '-e', 'a=b'],
  ]) {
    const [real, ours] = [REAL, OURS].map((program) =>
      spawnSync(program, args, { cwd: directory, argv0: 'postconf', encoding: 'utf8' }),
    );
    // Postfix reads main.cf again and again, and says some things each time.
    const said = (text = '') =>
      [...new Set(text.split('\n'))].filter((line) => !OVERRIDING.test(line));
    assert.deepEqual(said(ours?.stderr).sort(), said(real?.stderr).sort());
  }
});

test('a setting that another overrides is named, with what it was', { skip }, (t) => {
  const directory = freshDirectory(t);
  const lines = ['queue_directory = /tmp', 'relayhost = x', 'relayhost = y', 'relayhost = y'];
  writeSettled(
    join(directory, 'main.cf'),
    [...lines, 'relayhost =', 'mydomain = z', ''].join('\n'),
  );
  writeSettled(join(directory, 'master.cf'), '');
  const said = [REAL, OURS].map((program) => {
    const { stderr } = spawnSync(program, ['-c', directory, '-n'], { encoding: 'utf8' });
    // Postfix's second round overrides the last entry with the first.
    return [...new Set(stderr.match(/line [3-9]: overriding earlier entry: .*/g))];
  });
  assert.deepEqual(said[1], said[0]);
  assert.deepEqual(said[1]?.length, 2);
});

test('postconf -m lists the lookup tables', (t) => {
  const types = run(OURS, configure(t), ['-m']).stdout.trimEnd().split('\n');
  for (const type of ['hash', 'regexp', 'cidr', 'static']) assert.ok(types.includes(type), type);
  assert.deepEqual(types, [...types].sort());
});

const TEMPLATE = `# Ours.
failure_template = <<EOF
Charset: iso-8859-1
From: Post <post@example.com>
Subject: No
Postmaster-Subject: No to somebody

Not from $myhostname at ${'${mail_name}'}, $$5.
  $delay_warning_time_hours h, $maximal_queue_lifetime_days d, \u00e9
EOF

delay_template = <<END
Subject: Late

$delay_warning_time_minutes
END
success_template = <<EOF

yes
EOF
verify_template = <<EOF
From: x

checked
EOF
`;

for (const [file, ...args] of [
  [TEMPLATE, '-t'],
  [TEMPLATE, '-b'],
  [TEMPLATE.replace('Subject: Late', 'Bogus: x'), '-b'],
  [TEMPLATE.slice(0, -4), '-t'],
  [TEMPLATE.replace('$$5', '$nosuch'), '-b'],
  [TEMPLATE.replace('$$5', '${'), '-b'],
  [TEMPLATE.replace('days d', 'years d'), '-b'],
  [TEMPLATE.replace('minutes', 'weeks'), '-b'],
  [undefined, '-t'],
  [TEMPLATE, '-b', 'x', 'y'],
  [TEMPLATE, '-b', '-n'],
  [TEMPLATE, '-t', '-e', 'a=b'],
] as const) {
  const what = JSON.stringify(file?.slice(-20) ?? 'no file');
  test(`postconf ${args.join(' ')} of ${what} prints what Postfix's prints`, { skip }, (t) => {
    const directory = configure(t);
    const path = join(directory, 'bounce.cf');
    if (file !== undefined) writeFileSync(path, file, 'latin1');
    const main = `mail_name = M\ndelay_warning_time = 4h\nbounce_template_file = ${path}\n`;
    writeSettled(join(directory, 'main.cf'), main);
    // What is only wrong with a template makes Postfix show its own text in that place.
    const shown = ({ stdout, ...rest }: Outcome) => ({
      ...rest,
      stdout: rest.warnings.length > 1 ? '' : stdout,
    });
    assert.deepEqual(shown(run(OURS, directory, args)), shown(run(REAL, directory, args)));
  });
}

test('postconf -t "" shows the built-in templates, whatever bounce_template_file says', (t) => {
  const directory = configure(t);
  writeSettled(join(directory, 'main.cf'), 'bounce_template_file = /nonesuch\n');
  const { stdout, status } = run(OURS, directory, ['-t', '']);
  assert.equal(status, 0);
  assert.match(stdout, /^failure_template = <<EOF\nCharset: us-ascii\nFrom: Mail Delivery System /);
  assert.equal(stdout.match(/^[a-z]+_template = <<EOF$/gm)?.length, 4);
});
