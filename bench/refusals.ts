/**
 * Refusals per second: sessions of strangers that are all refused at RCPT, by restrictions that look
 * into five tables and then ask a policy server. Ours and real Postfix, in turn, in one run.
 *
 *   node build/bench/refusals.cjs                       medians of three rounds
 *   node build/bench/refusals.cjs sessions=20000 rounds=5 clients=20
 *   node build/bench/refusals.cjs recipients=9          so many refusals in each session
 *   node build/bench/refusals.cjs together=1            all share all processors
 *   node build/bench/refusals.cjs programs=1            with the CPU time of each program
 *   node build/bench/refusals.cjs daemons=/some/libexec our daemons from there: one may be a script
 *                                                       that starts node with --cpu-prof
 *
 * A session is a connection of its own: EHLO; MAIL, RCPT and QUIT in one piece, as those who send much
 * do. The mail system has one processor, the clients and the policy server another. What is compared is
 * refusals per second, and the CPU time of the mail system for one. Run as root.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LightSockets, type Peer } from './light-sockets.ts';
import { hasPostfix, type Kind, type MailInstance, startInstance } from './mail-instance.ts';
import { cpuSeconds } from './process-tree.ts';
import { canSeparate, runOn } from './processors.ts';

const SMTP_PORT = 2631;
const POLICY_PORT = 2632;
/** Entries of each table. */
const ENTRIES = 10_000;
/** Sessions before the first that counts: a mail system runs for weeks, and V8 compiles what is hot. */
const WARM_UP = 10_000;
/** Without any event. */
const PATIENCE_MS = 120_000;
const TABLES = ['client', 'helo', 'sender', 'domain', 'recipient'] as const;

const POSTMAP: Readonly<Record<Kind, string>> = {
  posthaste: resolve('build/bin/postmap'),
  postfix: '/usr/sbin/postmap',
};

interface Measurement {
  readonly refusalsPerSecond: number;
  readonly cpuMicroseconds: number;
  readonly cpuByProgram: ReadonlyMap<string, number>;
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  if (words[0] === 'policy') return servePolicy();
  const option = (name: string, fallback: number) =>
    Number(words.find((word) => word.startsWith(`${name}=`))?.split('=')[1] ?? fallback);
  const amount = {
    sessions: option('sessions', 10_000),
    clients: option('clients', 80),
    recipients: option('recipients', 1),
    daemons: words.find((word) => word.startsWith('daemons='))?.slice(8),
    warmUp: option('warmup', WARM_UP),
    separate: canSeparate() && option('together', 0) === 0,
  };
  const rounds = option('rounds', 3);
  const kinds: Kind[] =
    hasPostfix() && option('real', 1) !== 0 ? ['postfix', 'posthaste'] : ['posthaste'];
  const results = new Map<Kind, Measurement[]>(kinds.map((kind) => [kind, []]));
  print(
    `${amount.sessions} sessions, ${amount.clients} at a time, ${amount.recipients} refused in each; median of ${rounds} rounds`,
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) results.get(kind)?.push(await measure(kind, amount));
  }
  const medians = kinds.map((kind) => [kind, medianOf(results.get(kind) ?? [])] as const);
  for (const [kind, found] of medians) {
    print(
      `${kind.padEnd(10)}${found.refusalsPerSecond.toFixed(0).padStart(8)} refusals/s` +
        `${found.cpuMicroseconds.toFixed(0).padStart(8)} us of CPU each`,
    );
    if (option('programs', 0) !== 0) print(`  ${formatPrograms(found)}`);
  }
  const [theirs, ours] = medians.map(([, found]) => found);
  if (theirs === undefined || ours === undefined) return;
  const speed = ours.refusalsPerSecond / theirs.refusalsPerSecond;
  const cost = theirs.cpuMicroseconds / ours.cpuMicroseconds;
  print(`ratio     ${speed.toFixed(2).padStart(8)}${' '.repeat(11)}${cost.toFixed(2).padStart(8)}`);
}

interface Amount {
  readonly sessions: number;
  readonly clients: number;
  readonly recipients: number;
  readonly daemons: string | undefined;
  readonly warmUp: number;
  /** The mail system has a processor of its own. */
  readonly separate: boolean;
}

async function measure(
  kind: Kind,
  { sessions, clients, warmUp, recipients, daemons, separate }: Amount,
): Promise<Measurement> {
  const tables = makeTables(kind);
  if (separate) runOn('load');
  const policy = await startPolicy();
  if (separate) runOn('mailSystem');
  const instance = startInstance(kind, SMTP_PORT, {
    mynetworks: '192.0.2.0/24',
    smtpd_peername_lookup: 'no',
    smtpd_client_connection_count_limit: '0',
    ...(kind === 'postfix' || daemons === undefined ? {} : { daemon_directory: daemons }),
    default_process_limit: '100',
    local_recipient_maps: '',
    smtpd_client_restrictions: `permit_mynetworks, check_client_access hash:${tables}/client`,
    smtpd_helo_restrictions: `check_helo_access hash:${tables}/helo`,
    smtpd_sender_restrictions:
      `check_sender_access hash:${tables}/sender, ` + `check_sender_access hash:${tables}/domain`,
    smtpd_recipient_restrictions:
      `check_recipient_access hash:${tables}/recipient, ` +
      `check_policy_service inet:127.0.0.1:${POLICY_PORT}`,
  });
  if (separate) runOn('load');
  try {
    const envelope = envelopeFor(recipients);
    load(instance, envelope, { sessions: warmUp, clients });
    const before = cpuSeconds(instance.masterPid());
    const start = performance.now();
    load(instance, envelope, { sessions, clients });
    const seconds = (performance.now() - start) / 1000;
    const cpuByProgram = new Map(
      [...cpuSeconds(instance.masterPid())].map(([name, used]) => [
        name,
        ((used - (before.get(name) ?? 0)) * 1e6) / (sessions * recipients),
      ]),
    );
    return {
      refusalsPerSecond: (sessions * recipients) / seconds,
      cpuMicroseconds: [...cpuByProgram.values()].reduce((sum, each) => sum + each, 0),
      cpuByProgram,
    };
  } finally {
    instance.stop();
    policy.kill();
    rmSync(tables, { recursive: true, force: true });
  }
}

/** None of them knows the clients of the load. */
function makeTables(kind: Kind): string {
  const directory = mkdtempSync(join(tmpdir(), 'bench-refusals-'));
  chmodSync(directory, 0o755);
  for (const name of TABLES) {
    const path = join(directory, name);
    const lines = Array.from({ length: ENTRIES }, (_, at) => `${keyOf(name, at)} REJECT\n`);
    writeFileSync(path, lines.join(''));
    const made = spawnSync(POSTMAP[kind], [`hash:${path}`], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`postmap ${path}: ${made.stderr}`);
  }
  return directory;
}

function keyOf(table: (typeof TABLES)[number], at: number): string {
  if (table === 'client') return `10.${at >> 8}.${at & 255}.1`;
  return table === 'sender' || table === 'recipient'
    ? `user${at}@known.test`
    : `host${at}.known.test`;
}

function load(
  { port }: MailInstance,
  envelope: Buffer,
  { sessions, clients }: Pick<Amount, 'sessions' | 'clients'>,
): void {
  const sockets = new LightSockets();
  let begun = 0;
  let done = 0;
  const begin = () => {
    begun += 1;
    sockets.connect(port, newClient(envelope, ended));
  };
  const ended = () => {
    done += 1;
    if (begun < sessions) begin();
  };
  for (let client = 0; client < clients; client += 1) begin();
  sockets.run(() => done === sessions, PATIENCE_MS);
  sockets.close();
}

/** All in one piece: each recipient has to be refused. */
function envelopeFor(recipients: number): Buffer {
  const rcpt = 'RCPT TO:<root@bench.test>\r\n'.repeat(recipients);
  return Buffer.from(`MAIL FROM:<ann@stranger.test>\r\n${rcpt}QUIT\r\n`);
}

const EHLO = Buffer.from('EHLO client.stranger.test\r\n');

function newClient(envelope: Buffer, onDone: () => void): Peer {
  let text = '';
  let stage = 0;
  return {
    onText(link, chunk) {
      text += chunk;
      if (stage === 0 && text.endsWith('\n')) link.send(EHLO);
      else if (stage === 1 && /^250 .*\r\n$/m.test(text)) link.send(envelope);
      else return;
      stage += 1;
      text = '';
    },
    onEnd() {
      if (!/^250 .*\r\n(?:5\d\d .*\r\n)+221 /.test(text)) {
        throw new Error(`not a refusal: ${JSON.stringify(text)}`);
      }
      onDone();
    },
  };
}

/** The policy server is a process of its own. */
async function startPolicy(): Promise<ChildProcess> {
  const policy = spawn(process.execPath, [process.argv[1] as string, 'policy'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(policy.stdout as NodeJS.ReadableStream, 'data');
  return policy;
}

function servePolicy(): void {
  const answer = 'action=REJECT go away\n\n';
  const sockets = new LightSockets();
  sockets.listen(POLICY_PORT, () => {
    let last = '';
    return {
      onText(link, chunk) {
        const requests = (last + chunk).split('\n\n');
        last = requests.pop() ?? '';
        if (requests.length > 0) link.send(Buffer.from(answer.repeat(requests.length)));
      },
      onEnd() {},
    };
  });
  process.stdout.write('ready\n');
  sockets.run(() => false, -1);
}

function formatPrograms({ cpuByProgram }: Measurement): string {
  return [...cpuByProgram]
    .filter(([, microseconds]) => microseconds >= 1)
    .sort(([, a], [, b]) => b - a)
    .map(([name, microseconds]) => `${name} ${microseconds.toFixed(0)}`)
    .join(', ');
}

function medianOf(list: readonly Measurement[]): Measurement {
  const sorted = [...list].sort((a, b) => a.refusalsPerSecond - b.refusalsPerSecond);
  return sorted[Math.floor(sorted.length / 2)] as Measurement;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exitCode = 1;
});
