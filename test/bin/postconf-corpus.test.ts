/** The files people really have, shown by postconf: the same as Postfix's own shows. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { writeSettled } from '../support/settled-file.ts';

const REAL = '/usr/sbin/postconf';
const OURS = join(BUILD, 'bin/postconf');
const skip = existsSync(REAL) ? false : `needs ${REAL}`;

/** A main.cf of test/data/main-cf beside a master.cf of test/data/master-cf. */
const PAIRS: readonly (readonly [main: string, master: string])[] = [
  ['debian', 'debian'],
  ['redhat', 'rhel'],
  ['opensuse', 'opensuse'],
  ['freebsd', 'opensuse'],
  ['dovecot-virtual', 'dovecot'],
  ['backup-mx', 'debian'],
  ['null-client', 'rhel'],
  ['relayhost-sasl', 'dovecot'],
  ['mailman', 'mailman'],
  ['amavis', 'amavis'],
  ['rspamd', 'debian'],
  ['submission', 'dovecot'],
  ['multi-instance', 'chroot'],
  ['postscreen', 'dovecot'],
  ['restriction-classes', 'chroot'],
  ['ldap', 'amavis'],
  ['grammar', 'chroot'],
  ['iredmail', 'amavis'],
  ['odd', 'odd'],
];

/** Files that the installed Postfix ships, with all their commentary. */
const SHIPPED = ['main.cf.dist', 'main.cf.debian', 'main.cf.tls'].map((name) =>
  join('/usr/share/postfix', name),
);

const LINES = ['-n', '-nf', '-nxf', '-xC user,service', '-M', '-Mxf', '-Pxf', '-F'];

/** Odd files, and what is asked of them: one main.cf, one master.cf, one command line a row. */
const SMTP = 'smtp unix - - n - - smtp';
const ODD: readonly (readonly [main: string, master: string, line: string])[] = [
  ['process_name=x\nprocess_id=3\nservice_name=y\nmail_version=1', '', '-n'],
  ['', '', '-x -o service_name=zz -o process_name=3 process_name service_name mail_name'],
  ['virtual_alias_maps=x\nvirtual_maps=y\nlmtp_cache_connection=yes', '', '-n'],
  ['', '', '-d virtual_maps fallback_relay postscreen_blacklist_action relayhost'],
  ['', '', '-C user relayhost fallback_relay'],
  ['smtpd_per_record_deadline = 1', '', '-C user'],
  [' aaaaaaaaaabbbbbbbbbbcccccccccd', '', '-n'],
  [' aaaaaaaaaabbbbbbbbbbccccccccc', '', '-n'],
  ['a name that is long enough to be cut, if anybody did = that', '', '-n'],
  ['relayhost={a}b {c\nmydestination={ {a } }', `${SMTP} -o relayhost={x -o {a={b}`, '-n'],
  ['', `${SMTP} -o {a -o b=c d {x`, '-P'],
  ['', `${SMTP} -voa=b -vo c=d -oe=f -q=f -o { g } -o {h i = j} -o = -o {=3}`, '-Mf'],
  ['', `${SMTP} -o {} x -o { k = l m} {n o} {p} { q} "-- " -- r`, '-Mf'],
  ['', `${SMTP} -v -- -o a=b c`, '-Mf'],
  ['', `${SMTP} -o = -o x -o =3 {a}b {c`, '-M'],
  ['', 'smtp unix - - n - - {smtp a} b', '-F'],
  ['', `${SMTP} -o a=$b-$service_name -o b=x $process_name -o`, '-Px'],
  ['', `x unix - - n - - pipe flags=R user=12345 ${'y'.repeat(50)} z`, '-Mf'],
  ['', `x unix - - n - - pipe flags=R user=1234 ${'y'.repeat(50)} z`, '-Mf'],
  ['', `x unix - - n - - pipe -v -D -12345678901`, '-Mf'],
  ['', 'local unix - n n - - local', '-C builtin local_transport'],
  ['local_destination_recipient_limit=2', 'local unix - n n - - local', '-n -C service'],
  ['mailbox_command=mysql:/q\nmail_name=mysql:/nonesuch\nluser_relay={x', '', '-n'],
  ['myhostname=ldap:foo\nfoo_version=1\nbiff=ldap:zap\nzap_version=3\nzap_x=1', '', '-n'],
  ['relayhost=proxy:proxy:ldap:pp\npp_version=3\nx=mm,ldap:nn\nnn_domain=3', '', '-n'],
  ['transport_maps=ldap:$x\nx=mm,ldap:nn\nnn_domain=3\nmm_domain=3', '', '-n'],
  ['transport_maps=ldap:$PWD/none.cf sqlite:/ memcache:./m\nPWD=/nonesuch', '', '-n'],
  ['foo_bind=1', `${SMTP} -o relayhost=ldap:foo -o foo_version=2 -o foo_bogus=3`, '-n'],
  ['bar_version=1', `${SMTP} -o relayhost=ldap:bar -o bar_version=2`, '-n'],
  ['relayhost=$zz\nzz=$relayhost', '', '-nx'],
  ['relayhost=${a', '', '-n'],
];

/** Values of one parameter: what they expand to, or what is wrong with them. */
const VALUES = [
  'x $myhostname ${a',
  'x ${}',
  'x $ y',
  'x $(a',
  '${a b}',
  'pre ${a=b}',
  'pre ${{a} = {b}?x}',
  'pre ${{a} == {b} x}',
  'pre ${{a} == b}',
  'pre ${a?{b}x}',
  'pre ${a?{b}:{c}d}',
  'pre ${a:{b}:{c}}',
  'pre ${{a}}',
  '${a?{b}',
  '${{a}=={b}?{c}:d}',
  '${a?}',
  '${{a} <level {3}}',
  '${{3.6.1.2} <level {3}}',
  '${mydomain?{$}}',
  '${{a}:b}',
  '${{1} ==level {01}}',
  '${{3.6.} <level {1}}',
  '${a?{x} }z',
  '$$$',
  '${ {a} == {a} ? {y} : {n} }',
  '${a ? {y} : n }',
  '${empty:  x y }',
  '${{-1} < {1}}',
  '${{ 1 } == {1}}',
  '${{a} === {b}}',
  '${{a}<>{b}}',
  '${{a} => {b}}',
  '${{{a}} == {a}}',
  '${a.b}',
  '$a-b',
  '${a:{}}',
  '${{ab} < {abc}}',
  '${{0x10} == {16}}|${{ 10} == {10 }}',
  '${{10} <level {9}}|${{4294967295.1} <level {9}}',
  '${{1.1024} >level {9}}',
  '${{1.2.1023} >level {9}}',
  '${{1.5} < {1.10}}',
];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  /** Lines on stderr, sorted and each once: Postfix repeats some, in the order of a hash table. */
  readonly warnings: readonly string[];
}

/** Postfix reads main.cf several times into one table, and then says this of innocent lines. */
const OVERRIDING = /overriding earlier entry/;

/** Where a bad value is set: only we say it. */
const PLACE = / \((?:\.\/)?main\.cf, line \d+\)$/gm;

/** In the default of debugger_command, expanded. */
const PROCESS_ID = / \d+ &/g;

function run(program: string, directory: string, args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(program, [...args], {
    encoding: 'utf8',
    argv0: 'postconf',
    cwd: directory,
    env: { PATH: process.env['PATH'], MAIL_CONFIG: '.' },
  });
  const lines = stderr.replaceAll(' ./', ' ').replace(PLACE, '').split('\n');
  const warnings = [...new Set(lines.filter((line) => !OVERRIDING.test(line)))].sort();
  return { status, stdout: stdout.replace(PROCESS_ID, ' PID &'), warnings };
}

function compare(directory: string, args: readonly string[]): void {
  const real = run(REAL, directory, args);
  const ours = run(OURS, directory, args);
  assert.deepEqual(ours.warnings, real.warnings);
  assert.equal(ours.stdout, real.stdout);
  assert.equal(ours.status, real.status);
}

function configure(t: TestContext, main: string, master: string): string {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), main);
  writeSettled(join(directory, 'master.cf'), master);
  return directory;
}

function words(line: string): string[] {
  return line.split(' ').filter((word) => word !== '');
}

const mainCf = (name: string) => readFileSync(join('test/data/main-cf', name), 'utf8');
const masterCf = (name: string) => readFileSync(join('test/data/master-cf', name), 'utf8');

for (const [main, master] of PAIRS) {
  for (const line of LINES) {
    test(`postconf ${line} of main.cf ${main} and master.cf ${master}`, { skip }, (t) => {
      compare(configure(t, mainCf(main), masterCf(master)), words(line));
    });
  }
}

for (const file of SHIPPED) {
  const missing = existsSync(file) ? skip : `needs ${file}`;
  test(`postconf -nf of ${file}`, { skip: missing }, (t) => {
    const master = readFileSync('/usr/share/postfix/master.cf.dist', 'utf8');
    compare(configure(t, readFileSync(file, 'utf8'), master), ['-nf']);
  });
}

for (const [main, master, line] of ODD) {
  test(`postconf ${line} of main.cf ${main} and master.cf ${master}`, { skip }, (t) => {
    compare(configure(t, `${main}\n`, `${master}\n`), words(line));
  });
}

test("postconf reads the files of tables, and says what is odd in them as Postfix's does", {
  skip,
}, (t) => {
  const table = 'hosts = x\nbogus = $y\n';
  const directory = configure(t, '', '');
  const path = join(directory, 'table.cf');
  writeSettled(path, table);
  const lists = `mysql:${path}, proxy:pgsql:${path} unionmap:{ldap:${path}} { x sqlite:${path} }`;
  writeSettled(join(directory, 'main.cf'), `virtual_alias_maps = ${lists} mysql:${directory}\n`);
  compare(directory, ['-n']);
  writeSettled(path, 'no assignment\n');
  compare(directory, ['-n']);
});

for (const value of VALUES) {
  test(`postconf -x expands ${value} as Postfix's does`, { skip }, (t) => {
    compare(configure(t, `relayhost = ${value}\n`, ''), ['-xh', 'relayhost']);
  });
}

for (const style of ['host', 'subnet', 'class']) {
  for (const protocols of ['ipv4', 'ipv6', 'all']) {
    for (const interfaces of ['all', 'loopback-only', '127.0.0.1', '192.0.2.255, [::1]']) {
      test(`mynetworks: ${style} of ${interfaces}, ${protocols}`, { skip }, (t) => {
        const main = `mynetworks_style = ${style}
inet_protocols = ${protocols}
inet_interfaces = ${interfaces}
`;
        compare(configure(t, main, ''), ['mynetworks']);
      });
    }
  }
}
