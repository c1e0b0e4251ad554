/** `postfix tls`: Postfix's script and ours, the same commands in a configuration of their own each. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';

interface Instance {
  readonly directory: string;
  /** Runs a subcommand. @returns its status and what it printed on stdout; on stderr, for ours */
  run(...words: readonly string[]): { status: number | null; stdout: string; stderr: string };
}

function startInstance(t: TestContext, maker: Maker): Instance {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  const ours = ['command_directory', 'daemon_directory'].map(
    (name, at) => `${name} = ${join(BUILD, ['bin', 'libexec'][at] ?? '')}`,
  );
  const main = [
    'compatibility_level = 3.6',
    `queue_directory = ${directory}`,
    'data_directory = /var/lib/nobody',
    'myhostname = mx.lab.test',
    ...(maker === 'ours' ? ours : []),
  ];
  writeSettled(join(directory, 'main.cf'), `${main.join('\n')}\n`);
  writeFileSync(join(directory, 'master.cf'), '');
  const program = maker === 'ours' ? join(BUILD, 'bin/postfix') : '/usr/sbin/postfix';
  const environment: NodeJS.ProcessEnv = { ...process.env };
  delete environment.NODE_EXTRA_CA_CERTS;
  return {
    directory,
    run: (...words) =>
      spawnSync(program, ['-c', directory, 'tls', ...words], {
        encoding: 'utf8',
        env: environment,
      }),
  };
}

/** Names and keys differ from run to run. */
function neutral(text: string, directory: string): string {
  return text
    .replaceAll(directory, 'DIR')
    .replace(/\d{8}-\d{6}/g, 'STAMP')
    .replace(/(TLSA 3 1 1) [0-9a-f]{64}/g, '$1 DIGEST')
    .replace(/(-----BEGIN.*-----)[^-]*/g, '$1');
}

const settingsIn = (directory: string) =>
  neutral(readFileSync(join(directory, 'main.cf'), 'utf8'), directory)
    .split('\n')
    .filter((line) => /^(?:tls|smtpd?_)/.test(line))
    .sort();

const fileOf = (directory: string, start: string) =>
  join(directory, readdirSync(directory).find((name) => name.startsWith(start)) ?? start);

/** What is typed one after the other; a name with `*` is the first file that begins so. */
const SCRIPT: readonly (readonly string[])[] = [
  ['all-default-client'],
  ['enable-client', '-r', 'dev:/dev/random'],
  ['all-default-client'],
  ['enable-server', '-a', 'ecdsa', 'a.lab.test', 'b.lab.test'],
  ['new-server-key', '-b', '1024'],
  ['output-server-csr', '-k', 'ecdsa', 'c.lab.test'],
  ['deploy-server-cert', 'cert-*', 'eckey-*'],
  ['deploy-server-cert', 'cert-*', 'key-*'],
  ['output-server-tlsa', '-h', 'other.test', 'key-*', 'ecdsa'],
];

test('postfix tls does what Postfix does', { skip: whyNoPostfix() }, (t) => {
  const [ours, real] = [startInstance(t, 'ours'), startInstance(t, 'real')];
  for (const words of SCRIPT) {
    const [found, expected] = [ours, real].map((instance) => {
      const given = words.map((word) =>
        word.endsWith('*') ? fileOf(instance.directory, word.slice(0, -1)) : word,
      );
      const { status, stdout } = instance.run(...given);
      return {
        status,
        stdout: neutral(stdout, instance.directory),
        settings: settingsIn(instance.directory),
      };
    });
    assert.deepEqual(found, expected, words.join(' '));
  }
});

const USAGE = /^postfix\/postfix-tls-script: fatal: usage: postfix tls /;
/** In a configuration without any TLS. Postfix's script takes a second for each. */
const REFUSED: readonly (readonly [words: readonly string[], said: RegExp])[] = [
  [[], /^\S+: error: unknown tls command: ''\n\S+: fatal: usage: postfix tls enable-client \(or/],
  [['bogus'], /error: unknown tls command: 'bogus'\n/],
  [['all-default-server', 'x'], USAGE],
  [['enable-client', 'x'], USAGE],
  [['new-server-cert', '-x'], USAGE],
  [['deploy-server-cert', 'x'], USAGE],
  [['enable-server', '-a', 'dsa'], /fatal: Unsupported private key algorithm: dsa\n/],
  [['new-server-key', '-b', 'odd'], /fatal: error generating new rsa odd private key\n/],
  [['output-server-csr'], /fatal: No usable keyfile specified or configured\n/],
  [['output-server-csr', '-k', 'x'], /fatal: No usable keyfile specified or configured\n/],
  [['output-server-tlsa'], /fatal: No usable keyfiles specified or configured\n/],
  [['output-server-tlsa', '/none'], /fatal: no private key found in file: \/none\n/],
  [['deploy-server-cert', 'x', '/none'], /fatal: no private key found in file: \/none\n/],
];

test('postfix tls refuses what makes no sense, and leaves nothing behind', (t) => {
  const { directory, run } = startInstance(t, 'ours');
  for (const [words, said] of REFUSED) {
    const { status, stderr } = run(...words);
    assert.equal(status, 1, words.join(' '));
    assert.match(stderr, said);
  }
  assert.deepEqual(readdirSync(directory).sort(), ['main.cf', 'master.cf']);
});

test('postfix tls makes keys that nobody else may read, and says what to do with them', (t) => {
  const { directory, run } = startInstance(t, 'ours');
  const { status, stderr } = run('enable-server', 'a.lab.test', 'b.lab.test');
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /^postfix\/postfix-tls-script: Enabled opportunistic TLS in the Postfix SMTP server\n/,
  );
  assert.match(
    stderr,
    /# postfix tls output-server-csr -k \S+\/key-\d{8}-\d{6}\.pem \[<hostname> \.\.\.\]\n/,
  );
  const [key, certificate] = [fileOf(directory, 'key-'), fileOf(directory, 'cert-')];
  assert.equal(statSync(key).mode & 0o777, 0o600);
  assert.equal(statSync(certificate).mode & 0o777, 0o644);
  const { stdout } = spawnSync('openssl', ['x509', '-in', certificate, '-noout', '-text'], {
    encoding: 'utf8',
  });
  assert.match(stdout, /Subject: CN = a\.lab\.test\n[\s\S]*DNS:a\.lab\.test, DNS:b\.lab\.test\n/);
  // The key stays, the certificate is new.
  const again = run('new-server-cert', 'x y');
  assert.equal(again.status, 1);
  assert.match(again.stderr, /not a hostname: 'x y'/);
});
