/** postmap and postalias beside Postfix's: same source, same output, same exit status. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';

type Program = 'postmap' | 'postalias';
type Kind = 'ours' | 'postfix';

/** What one command did. */
interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

/** A directory with sources, and main.cf in another place. */
function place(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const directory = freshDirectory(t);
  const etc = join(directory, 'etc');
  mkdirSync(etc);
  const main = [
    'compatibility_level = 3.6',
    'myhostname = mail.example.com',
    `queue_directory = ${directory}/queue`,
    `maillog_file = ${directory}/log`,
    'maillog_file_prefixes = /',
  ];
  writeSettled(join(etc, 'main.cf'), main.join('\n'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function run(
  kind: Kind,
  program: Program,
  directory: string,
  args: readonly string[],
  input = '',
): Ran {
  const path = kind === 'ours' ? resolve(`build/bin/${program}`) : `/usr/sbin/${program}`;
  const env = { PATH: '/usr/bin:/bin', MAIL_CONFIG: join(directory, 'etc'), LANG: 'C' };
  const ran = spawnSync(path, args, { cwd: directory, env, input, encoding: 'utf8' });
  return { status: ran.status, output: ran.stdout, errors: ran.stderr };
}

const MAP = Buffer.concat([
  Buffer.from(
    'a b\na c\nd\n\n  # x\nE f\n   g  \n# comment\n h\nl" m" n\nq" r\nk: v\nz \n \\" u v\nb\\ c d\n',
  ),
  Buffer.from([0xff, 0x20, 0x78, 0x0a]),
  Buffer.from('"a b" c\nnul\0x v\nÜmlaut wert\nlast line'),
]);

const ALIASES = `# comment
postmaster: root
Abc:	"|cmd arg, x" , :include:/f , "a b"
  , joe
root: \\root
nocolon
dup: a
dup: b
user@dom: x
"quoted name": foo
emp:
multi : a b c
x: Full Name <addr@x>, (comment) c@d
y: "a b"@dom, a.b@c.d.
z: |/usr/bin/foo
w: "|/usr/bin/foo -a -b", /var/mail/x, /dir/
v: :include:/path/x y, "/file name"
u: <a@b>, <"x y"@b>
t: group: a, b;
r: "a\\"b", a\\ b
q: a@[1.2.3.4], @a,@b:c@d
p: a..b@c, .a@b, a.@b
o: "unclosed
n: (unclosed
m: <a
j : , ,
i: ""
g: a%b, a!b, |x y
e: "|exec /bin/sh -c \\"foo\\""
d: "|a"b
b: x: y
"a:b": c
a b: c
e2: a (com,ment) b, c
é: ü@x
e6: |"foo bar" -x
e7: :include:"/a b"
e8: "a@b"
`;

const PATTERNS = '/^a(.*)/ found\n/Subject: (.*)/ subject $1\n/body/ body\n/^$/ empty\n';

const MESSAGE = [
  'Subject: one',
  ' two',
  'Content-Type: multipart/mixed; boundary="b"',
  '',
  'body line',
  '--b',
  'Subject: part',
  '',
  'a body',
  '--b--',
  '',
].join('\n');

/** One command of a session; each is compared. */
type Step = readonly [program: Program, args: readonly string[], input?: string];

const SESSIONS: Readonly<Record<string, readonly Step[]>> = {
  'a table is made and asked': [
    ['postmap', ['hash:map']],
    ['postmap', ['-s', 'hash:map']],
    ['postmap', ['-q', 'E', 'map']],
    ['postmap', ['-q', 'e', 'map']],
    ['postmap', ['-f', '-q', 'E', 'map']],
    ['postmap', ['-q', 'ÜMLAUT', 'map']],
    ['postmap', ['-q', '"a b"', 'map']],
    ['postmap', ['-q', 'a b', 'map']],
    ['postmap', ['-q', 'none', 'map']],
    ['postmap', ['-q', 'a', 'static:x', 'map']],
    ['postmap', ['-q', '-', 'map'], 'a\nE\nzzz\n\nl" m"\n'],
    ['postmap', ['-q', '-', 'map'], 'zzz\n'],
    ['postmap', ['-qa', 'map']],
  ],
  'entries are added and deleted': [
    ['postmap', ['map']],
    ['postmap', ['-d', 'a', 'map']],
    ['postmap', ['-d', 'a', 'map']],
    ['postmap', ['-d', '-', 'map'], 'e\nnone\n'],
    ['postmap', ['-i', 'map'], 'new v\nk: w\n'],
    ['postmap', ['-ir', 'map'], 'new v2\n'],
    ['postmap', ['-iw', 'map'], 'new v3\n'],
    ['postmap', ['-s', 'map']],
    ['postmap', ['-i', 'fresh'], 'a b\n'],
    ['postmap', ['-s', 'fresh']],
  ],
  'duplicates and case': [
    ['postmap', ['-w', 'map']],
    ['postmap', ['-q', 'a', 'map']],
    ['postmap', ['-r', 'map']],
    ['postmap', ['-q', 'a', 'map']],
    ['postmap', ['-f', 'btree:map']],
    ['postmap', ['-s', 'btree:map']],
    ['postmap', ['-n', 'map']],
    ['postmap', ['-N', 'map']],
    ['postmap', ['-q', 'a', 'map']],
  ],
  'what is missing or wrong': [
    ['postmap', ['none']],
    ['postmap', ['-q', 'a', 'none']],
    ['postmap', ['-s', 'none']],
    ['postmap', ['-d', 'a', 'none']],
    ['postmap', ['-q', 'a', 'regexp:none']],
    ['postmap', ['-q', 'a', 'texthash:none']],
    ['postmap', ['-q', 'a', 'bogus:x']],
    ['postmap', ['bogus:x']],
    ['postmap', ['regexp:patterns']],
    ['postmap', ['texthash:map']],
    ['postmap', ['static:map']],
    ['postmap', ['static:none']],
    ['postmap', ['-i', 'static:none'], 'a b\n'],
    ['postmap', ['-d', 'x', 'regexp:patterns']],
    ['postmap', ['-d', 'x', 'static:x']],
    ['postmap', ['-d', 'x', 'bogus:x']],
    ['postmap', ['-s', 'regexp:patterns']],
    ['postmap', ['-s', 'static:x']],
    ['postmap', ['-q', 'a', 'fail:x']],
    ['postmap', ['-q', 'a', 'environ:']],
    ['postmap', ['-q', 'a', 'static:']],
    ['postmap', ['-q', 'a', 'inline:{a=}']],
  ],
  'a wrong command line': [
    ['postmap', []],
    ['postmap', ['-Z']],
    ['postmap', ['-q']],
    ['postmap', ['-q', 'a']],
    ['postmap', ['-q', 'a', '-s', 'map']],
    ['postmap', ['-q', 'a', '-d', 'b', 'map']],
    ['postmap', ['-b', 'map']],
    ['postmap', ['-h', '-q', 'a', 'map']],
    ['postalias', []],
    ['postalias', ['-m', 'aliases']],
    ['postalias', ['-d']],
  ],
  'tables of patterns and text': [
    ['postmap', ['-q', 'abc', 'regexp:patterns']],
    ['postmap', ['-q', '-', 'regexp:patterns'], 'abc\nxyz\nSubject: x\n\n'],
    ['postmap', ['-s', 'texthash:plain']],
    ['postmap', ['-q', 'a', 'texthash:map']],
  ],
  'header and body checks': [
    ['postmap', ['-hq', '-', 'regexp:patterns'], MESSAGE],
    ['postmap', ['-bq', '-', 'regexp:patterns'], MESSAGE],
    ['postmap', ['-hmq', '-', 'regexp:patterns'], MESSAGE],
    ['postmap', ['-bmq', '-', 'regexp:patterns'], MESSAGE],
    ['postmap', ['-bhmq', '-', 'regexp:patterns'], MESSAGE],
  ],
  'values that are files': [
    ['postmap', ['-F', 'files']],
    ['postmap', ['-q', 'a', 'files']],
    ['postmap', ['-F', '-q', 'a', 'files']],
  ],
  'more ways to ask': [
    ['postmap', ['map']],
    ['postmap', ['-q', 'a', 'hash:map', 'hash:none']],
    ['postmap', ['-q', 'none', 'hash:map', 'inline:{none=here}']],
    ['postmap', ['-q', '-', 'hash:map', 'inline:{none=here}'], 'a\nnone\nNONE\n'],
    ['postmap', ['-fq', '-', 'hash:map'], 'A\nE\ne\n'],
    ['postmap', ['-q', '-', 'hash:map'], 'a'],
    ['postmap', ['-q', '-', 'hash:map'], ''],
    ['postmap', ['-q', '', 'hash:map']],
    ['postmap', ['-q', '', 'static:x']],
    ['postmap', ['-uq', 'Ü', 'inline:{ü=x}']],
    ['postmap', ['-Uq', 'Ü', 'inline:{ü=x}']],
    ['postmap', ['-q', 'Ü', 'inline:{ü=x}']],
    ['postmap', ['-q', '-', 'fail:x'], 'a\n'],
    ['postmap', ['-q', 'a', 'pipemap:{static:b, inline:{b=c}}']],
    ['postmap', ['-q', 'a', 'cidr:cidr']],
    ['postmap', ['-q', '192.0.2.7', 'cidr:cidr']],
    ['postmap', ['-q', '-', 'cidr:cidr'], '192.0.2.7\n198.51.100.1\n10.1.1.1\n2001:db8::1\nx\n'],
    ['postmap', ['-q', 'to', 'inline:{from=to}']],
    ['postmap', ['-N', '-q', 'a', 'map']],
    ['postmap', ['-o', '-q', 'a', 'map']],
    ['postmap', ['-p', '-q', 'a', 'map']],
    ['postmap', ['-r', '-w', 'map']],
    ['postmap', ['-s', 'map', 'map']],
    ['postmap', ['-s', '-q', 'a', 'map']],
    ['postmap', ['-q', 'a', '-s', 'map']],
    ['postmap', ['-s', '-s', 'none']],
    ['postmap', ['-c', 'nowhere', '-q', 'a', 'static:x']],
    ['postmap', ['-q', 'A', 'texthash:map', 'static:x']],
  ],
  'broken patterns name file and line': [
    ['postmap', ['-q', 'abc', 'regexp:brokenre']],
    ['postmap', ['-q', 'if2', 'regexp:brokenre']],
    ['postmap', ['-q', 'neg', 'regexp:brokenre']],
    ['postmap', ['-q', '-', 'regexp:brokenre'], 'abc\nif1 x\nif2\nneg\nanything\n'],
    ['postmap', ['-q', '10.1.1.1', 'cidr:brokencidr']],
    ['postmap', ['-q', 'x', 'regexp:{{/a/ b}']],
    ['postmap', ['-q', 'a$1', 'regexp:{{/^(a)(.)1$/ $2-${1}-$(1)-$$}}']],
  ],
  'rules that are not UTF-8 count, until their result is asked for': [
    ...['10.0.0.1', '11.0.0.1', '12.0.0.1'].map(
      (address): Step => ['postmap', ['-q', address, 'cidr:latincidr']],
    ),
    ...['x', 'y', 'z'].map((key): Step => ['postmap', ['-q', key, 'regexp:latinre']]),
    ['postmap', ['-q', 'x', 'texthash:latinmap']],
  ],
  'broken sources': [
    ['postmap', ['broken']],
    ['postmap', ['-s', 'broken']],
    ['postmap', ['zeros']],
    ['postmap', ['-s', 'zeros']],
    ['postmap', ['empty']],
    ['postmap', ['-s', 'empty']],
    ['postmap', ['-q', 'x', 'empty']],
    ['postmap', ['longline']],
    ['postmap', ['-q', 'after', 'longline']],
    ['postmap', ['-U', 'map']],
    ['postmap', ['-u', 'map']],
    ['postmap', ['-i', 'map'], 'no-value\n continued\n'],
    ['postmap', ['-i', 'map'], ''],
    ['postmap', ['-d', '-', 'map'], ''],
    ['postmap', ['-d', '', 'map']],
    ['postmap', ['-F', 'nofiles']],
    ['postalias', ['-r', 'aliases']],
    ['postalias', ['-w', 'aliases']],
    ['postalias', ['-f', 'aliases']],
    ['postalias', ['-q', 'abc', 'aliases']],
    ['postalias', ['-q', 'Abc', 'aliases']],
    ['postalias', ['empty']],
    ['postalias', ['-u', 'aliases']],
    ['postalias', ['-i', 'empty'], 'x: y\n'],
    ['postalias', ['-d', '-', 'empty'], 'X\nnone\n'],
    ['postalias', ['zeros']],
  ],
  'alias databases': [
    ['postalias', ['hash:aliases']],
    ['postalias', ['-s', 'hash:aliases']],
    ['postalias', ['-q', 'ABC', 'aliases']],
    ['postalias', ['-q', 'quoted name', 'aliases']],
    ['postalias', ['-q', '"quoted name"', 'aliases']],
    ['postalias', ['-q', 'none', 'aliases']],
    ['postalias', ['-q', '-', 'aliases'], 'abc\nnone\nroot\n'],
    ['postalias', ['-d', 'abc', 'aliases']],
    ['postalias', ['-q', 'abc', 'aliases']],
    ['postalias', ['-i', 'aliases'], 'zz: b\n'],
    ['postalias', ['-q', 'zz', 'aliases']],
    ['postalias', ['-q', 'YP_MASTER_NAME', 'aliases']],
    ['postalias', ['none']],
    ['postalias', ['-s', 'regexp:patterns']],
    ['postalias', ['regexp:patterns']],
  ],
};

const BROKEN_PATTERNS = [
  '/a(b/ unmatched',
  '/abc no end',
  '/abc/o flag',
  '/(a)bc/ $2',
  '/abc/',
  'word',
  'if /^if/',
  '/^if1 (.*)/ one $1',
  'if /2/',
  '/./ two',
  'endif extra',
  'endif',
  'endif',
  '!/neg/ $1',
  '!/x/ not x',
  'if /never/',
  '/[/ bracket',
].join('\n');

const FILES = {
  map: MAP,
  aliases: ALIASES,
  patterns: PATTERNS,
  plain: 'b 2\na 1\n',
  files: 'a content\n',
  content: 'secret\n',
  brokenre: BROKEN_PATTERNS,
  nofiles: 'a content\nb /no/such\n',
  empty: '',
  cidr: '192.0.2.0/24 net\n!10.0.0.0/8 not ten\nif 10.0.0.0/8\n10.1.0.0/16 ten one\nendif\n2001:db8::/32 six\n',
  brokencidr:
    '10.0.0.1/8 host\n1.2.3.4/x mask\n10.1.0.0/33 length\nbad addr\nif 10.0.0.0/8\n10.0.0.0/8\n10.1.1.1 ok\n',
  broken:
    'unclosed "quote value\n  continued before\nkey\n\t\nkey:  v\n"q u" v w  \n#c\n#d\nkey v2\nKEY v3\n\\x y\n"a\\"b" c\n',
  zeros: Buffer.from('a\0b c\nd e\0f\n\0\ng h\n', 'latin1'),
  latincidr: Buffer.from(
    '10.0.0.0/8 REJECT caf\xe9\n11.0.0.0/8 ok\n12.0.0.0/8 \xc3\xa9\n',
    'latin1',
  ),
  latinre: Buffer.from('/^x/ REJECT caf\xe9\n/caf\xe9/ no\n/y/ ok\n/z/ \xc3\xa9\n', 'latin1'),
  latinmap: Buffer.from('x caf\xe9\ny ok\n', 'latin1'),
  longline: `k ${'x'.repeat(100_000)}\nafter v\n`,
};

for (const [name, steps] of Object.entries(SESSIONS)) {
  test(`as Postfix: ${name}`, { skip: whyNoPostfix() }, (t) => {
    const ours = place(t, FILES);
    const postfix = place(t, FILES);
    for (const [program, args, input] of steps) {
      const mine = run('ours', program, ours, args, input);
      const theirs = run('postfix', program, postfix, args, input);
      const command = `${program} ${args.join(' ')}`;
      // Each has an order of its own, and the time it was made.
      const sorted = (text: string) =>
        text
          .split('\n')
          .filter((line) => !line.startsWith('YP_LAST_MODIFIED'))
          .sort();
      if (args.includes('-s'))
        assert.deepEqual(sorted(mine.output), sorted(theirs.output), command);
      else assert.equal(mine.output, theirs.output, command);
      assert.equal(mine.errors, theirs.errors, command);
      assert.equal(mine.status, theirs.status, command);
    }
  });
}

test('a line on the terminal tells how far a long table is', {
  skip: existsSync('/usr/bin/script') ? false : 'script(1) is not installed',
}, (t) => {
  const lines = Array.from({ length: 400_000 }, (_, index) => `key${index} value\n`);
  const directory = place(t, { map: lines.join('') });
  const env = { PATH: '/usr/bin:/bin', MAIL_CONFIG: join(directory, 'etc'), LANG: 'C' };
  const command = `${resolve('build/bin/postmap')} hash:map`;
  const ran = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd: directory,
    env,
    input: '',
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stdout, /^\rpostmap: hash:map: \d+0000 lines.*\r +\r$/s);
});

test('what is no line of a table at all', (t) => {
  const directory = place(t, {
    huge: `${'k'.repeat(10_000_000)} v\nlong ${'v'.repeat(10_000_000)}\nafter v\n`,
    binary: Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 256)),
  });
  assert.deepEqual(run('ours', 'postmap', directory, ['huge']), {
    status: 0,
    output: '',
    errors: '',
  });
  assert.equal(run('ours', 'postmap', directory, ['-q', 'after', 'huge']).output, 'v\n');
  const binary = run('ours', 'postmap', directory, ['binary']);
  assert.equal(binary.status, 0);
  assert.match(binary.errors, /^postmap: warning: binary, line \d+: /);
  for (const args of [['.'], ['hash:'], [':map']]) {
    const { status, errors } = run('ours', 'postmap', directory, args);
    assert.equal(status, 1);
    assert.match(errors, /^postmap: fatal: /);
  }
});

test('a source larger than any table is refused by name and size', (t) => {
  const directory = place(t, { map: '' });
  truncateSync(join(directory, 'map'), 300 * 1024 * 1024);
  const { status, errors } = run('ours', 'postmap', directory, ['map']);
  assert.equal(status, 1);
  assert.match(errors, /^postmap: fatal: map: 314572800 bytes, more than the \d+ /);
});

test('a table of another system is refused with the command that mends it', (t) => {
  const directory = place(t, { 'map.db': Buffer.alloc(4096, 1) });
  const { status, errors } = run('ours', 'postmap', directory, ['-q', 'a', 'map']);
  assert.equal(status, 1);
  assert.match(errors, /^postmap: fatal: open database map\.db: .*; run: postmap hash:map\n$/);
});

const root = process.geteuid?.() === 0;

test("root makes a user's table as that user", { skip: root ? false : 'not root' }, (t) => {
  const directory = place(t, { map: 'a b\n' });
  const home = join(directory, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'map'), 'a b\n');
  chownSync(home, 65534, 65534);
  chownSync(join(home, 'map'), 65534, 65534);
  assert.equal(run('ours', 'postmap', directory, ['home/map']).status, 0);
  assert.equal(statSync(join(home, 'map.db')).uid, 65534);
  chownSync(join(directory, 'map'), 65534, 65534);
  chmodSync(directory, 0o755);
  assert.equal(run('ours', 'postmap', directory, ['map']).status, 0);
  assert.ok(existsSync(join(directory, 'map.db')));
  assert.equal(run('ours', 'postmap', directory, ['-o', 'home/map']).status, 0);
});
