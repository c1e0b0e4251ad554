/**
 * `npm start`: a private mail system in var/, from nothing.
 *
 * Installs and builds what is missing, makes an instance for the user who runs this (root or
 * not), starts it in the foreground, sends two messages through it, shows them arriving, and
 * serves until Ctrl-C.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { hostname, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const instance = join(root, 'var');
const config = join(instance, 'etc');
const log = join(instance, 'log', 'maillog');
const port = Number(process.env.POSTHASTE_PORT ?? 2525);
const user = userInfo();
const isRoot = user.uid === 0;
const bin = (name) => join(root, 'build', 'bin', name);

/** How long the two messages may take. */
const ARRIVAL_LIMIT_MS = 30_000;

process.chdir(root);
// It slows every start of Node 20 down by the size of the file it names.
delete process.env.NODE_EXTRA_CA_CERTS;
process.env.MAIL_CONFIG = config;

await main();

async function main() {
  requireNode();
  if (!isInstalled())
    step('Installing packages (a few minutes: one of them is compiled)', installPackages);
  if (!isBuilt()) step('Building', () => run(process.execPath, ['scripts/build.mjs']));
  if (isRunning()) {
    say(`It is running already (${config}). Stop it with: build/bin/postfix -c ${config} stop`);
    process.exit(0);
  }
  step(`Making an instance for ${user.username} in var/`, makeInstance);
  const logStart = existsSync(log) ? statSync(log).size : 0;
  const system = spawn(bin('postfix'), ['-c', config, 'start-fg'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    // Ctrl-C reaches us alone: we tell it, and wait for its end.
    detached: true,
  });
  system.on('exit', (code) => {
    say(`The mail system has stopped${code ? ` (status ${code}); see ${log}` : '.'}`);
    process.exit(code ?? 1);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => system.kill('SIGTERM'));
  await until('the mail system to listen', () => canConnect());
  say(`Listening for SMTP on 127.0.0.1:${port}.`);
  await sendTwo();
  showLog(logStart);
  say(`Running. Try:
    telnet 127.0.0.1 ${port}
    build/bin/sendmail -C ${config} ${user.username} < README.md
    build/bin/postqueue -c ${config} -p
    tail -f ${log}
Ctrl-C stops everything.`);
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  say(`Posthaste needs Node 20.19 or later; this is ${process.version}.`);
  process.exit(1);
}

/** npm writes this file last; it is older than the lock file after a change of packages. */
function isInstalled() {
  const mark = 'node_modules/.package-lock.json';
  if (!existsSync(mark)) return false;
  const isNewer = statSync(mark).mtimeMs >= statSync('package-lock.json').mtimeMs - 1000;
  return isNewer && loadsNativeModules();
}

/** They are made for one version of Node. */
function loadsNativeModules() {
  const code = "new (require('better-sqlite3'))(':memory:'); require('koffi');";
  return spawnSync(process.execPath, ['-e', code], { stdio: 'ignore' }).status === 0;
}

/** Nothing that programs are made of is newer than what was built. */
function isBuilt() {
  const mark = 'build/honoured.json';
  if (!existsSync(mark) || !existsSync('build/libexec/master')) return false;
  const built = statSync(mark).mtimeMs;
  const folders = ['bin', 'lib', 'libexec', 'master', 'scripts', 'services'];
  const sources = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => join(folder, name)),
  );
  return [...sources, 'package-lock.json'].every((path) => statSync(path).mtimeMs <= built);
}

function installPackages() {
  run('npm', ['ci', '--no-audit', '--no-fund']);
}

function isRunning() {
  return (
    existsSync(join(config, 'main.cf')) &&
    spawnSync(bin('postfix'), ['-c', config, 'status']).status === 0
  );
}

/** Directories, main.cf and master.cf; what is there already is kept as it is. */
function makeInstance() {
  const owner = mailOwner();
  for (const name of ['etc', 'log', 'spool', 'data', 'mail']) {
    mkdirSync(join(instance, name), { recursive: true });
  }
  chmodSync(join(instance, 'mail'), 0o1777);
  if (isRoot) chownSync(join(instance, 'data'), owner.uid, owner.gid);
  writeNew(join(config, 'aliases'), `postmaster: ${user.username}\n`);
  writeNew(join(config, 'main.cf'), mainCf(owner.name, owner.group));
  writeNew(join(config, 'master.cf'), masterCf());
  run(bin('newaliases'), ['-C', config]);
}

function mainCf(owner, group) {
  const host = hostname().includes('.') ? hostname() : `${hostname()}.localdomain`;
  return `# A private instance. Made by npm start; yours to change. See postconf(5).
compatibility_level = 3.6
queue_directory = ${join(instance, 'spool')}
data_directory = ${join(instance, 'data')}
command_directory = ${join(root, 'build', 'bin')}
daemon_directory = ${join(root, 'build', 'libexec')}
mail_owner = ${owner}
setgid_group = ${group}
maillog_file = ${log}
maillog_file_prefixes = ${join(instance, 'log')}
myhostname = ${host}
mydestination = $myhostname, localhost.$mydomain, localhost
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps = hash:${join(config, 'aliases')}
alias_database = $alias_maps
mail_spool_directory = ${join(instance, 'mail')}/
`;
}

function masterCf() {
  const shipped = readFileSync(join(root, 'etc', 'master.cf'), 'utf8');
  return shipped.replace(/^smtp(\s+)inet/m, `127.0.0.1:${port}$1inet`);
}

/** Daemons never run as root. A machine that has no user for them yet lends another's. */
function mailOwner() {
  if (!isRoot)
    return { name: user.username, group: groupName(user.gid), uid: user.uid, gid: user.gid };
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const wanted of ['postfix', 'daemon', 'nobody']) {
    const found = accounts.find(([name]) => name === wanted);
    if (found === undefined) continue;
    const gid = Number(found[3]);
    const name = wanted === 'postfix' && hasGroup('postdrop') ? 'postdrop' : groupName(gid);
    return { name: wanted, group: name, uid: Number(found[2]), gid };
  }
  say('There is no user "postfix", "daemon" or "nobody" to run the daemons as: useradd -r postfix');
  return process.exit(1);
}

function groups() {
  return readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}

function hasGroup(name) {
  return groups().some((group) => group[0] === name);
}

function groupName(gid) {
  return groups().find((group) => Number(group[2]) === gid)?.[0] ?? String(gid);
}

function writeNew(path, content) {
  if (!existsSync(path)) writeFileSync(path, content);
}

/** One message by the command, one by the network; both end in the same Maildir. */
async function sendTwo() {
  const before = arrived().size;
  say('Sending a message with sendmail, and one over SMTP ...');
  const text = (by) => `Subject: hello by ${by}\n\nThis message came by ${by}.\n`;
  const sent = spawnSync(bin('sendmail'), ['-C', config, '-i', user.username], {
    input: text('sendmail'),
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  if (sent.status !== 0) say(`sendmail ended with status ${sent.status}.`);
  await sendBySmtp(text('SMTP'));
  await until('both messages to arrive', () => arrived().size >= before + 2);
  say('Both arrived:');
  for (const path of [...arrived()].sort(byTime).slice(-2)) {
    const subject = /^Subject: .*$/m.exec(readFileSync(path, 'latin1'))?.[0];
    process.stdout.write(`    ${path}\n        ${subject}\n`);
  }
}

function byTime(a, b) {
  return statSync(a).mtimeMs - statSync(b).mtimeMs;
}

function arrived() {
  const folder = join(instance, 'mail', user.username, 'new');
  try {
    return new Set(readdirSync(folder).map((name) => join(folder, name)));
  } catch {
    return new Set();
  }
}

/** Says one line after another, each when the server has answered the one before. */
async function sendBySmtp(text) {
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  const lines = [
    'EHLO localhost',
    `MAIL FROM:<${user.username}@localhost>`,
    `RCPT TO:<${user.username}@localhost>`,
    'DATA',
    `${text.replaceAll('\n', '\r\n')}.`,
    'QUIT',
  ];
  let seen = '';
  for await (const chunk of socket) {
    seen += chunk;
    for (
      let reply = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(seen);
      reply;
      reply = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(seen)
    ) {
      seen = seen.slice(reply[0].length);
      if (Number(reply[1]) >= 400) say(`The server says: ${reply[0].trim()}`);
      const line = lines.shift();
      if (line === undefined) socket.end();
      else socket.write(`${line}\r\n`);
    }
  }
}

function canConnect() {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    // Who talks before the greeting is noted in the log.
    socket.once('data', () => socket.end('QUIT\r\n', () => resolve(true)));
    for (const end of ['error', 'close']) socket.on(end, () => resolve(false));
  });
}

/** The log lines of the trip. */
function showLog(from) {
  say('The log of their trip:');
  const lines = readFileSync(log).subarray(from).toString('utf8').trimEnd().split('\n');
  for (const line of lines) process.stdout.write(`    ${line}\n`);
}

async function until(what, condition) {
  const end = Date.now() + ARRIVAL_LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) {
      say(`Waited ${ARRIVAL_LIMIT_MS / 1000} s in vain for ${what}; see ${log}`);
      process.kill(process.pid, 'SIGTERM');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Says what takes a while, and how long it took. */
function step(what, action) {
  const start = Date.now();
  process.stdout.write(`* ${what} ...\n`);
  action();
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  process.stdout.write(`  done in ${seconds} s\n`);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) say(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function say(text) {
  process.stdout.write(`* ${text}\n`);
}
