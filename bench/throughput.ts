/**
 * Messages per second through a whole mail system: ours and real Postfix, in turn, in one run.
 *
 *   npm run bench                      all rows
 *   npm run bench -- discard maildir   some of them; `messages=2000` and `rounds=2` change the load
 *   npm run bench -- warmup=20         after that many others; the first start every daemon
 *   npm run bench -- programs=1        with the CPU time of each program
 *   npm run bench -- ours=1            without real Postfix
 *
 * Absolute numbers depend on the machine and on the hour; the ratios are what counts. Each row is
 * run several times for each system, and the median is shown. Run as root, with Debian's postfix
 * installed for smtp-source and the comparison.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { hasPostfix, type Kind, type MailInstance, startInstance } from './mail-instance.ts';
import { cpuSeconds, memoryMegabytes } from './process-tree.ts';

const SESSIONS = 20;
const MESSAGE_BYTES = 4096;
/**
 * Messages before the first that counts: a mail system runs for weeks, and V8 compiles what is hot. It
 * takes each of our processes some thousands of messages to be as fast as it gets.
 */
const WARM_UP = 10_000;
const SMTP_PORT = 2625;
const SINK_PORT = 2626;
const DRAIN_LIMIT_MS = 120_000;

interface Row {
  readonly name: string;
  readonly recipient: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** smtp-source -d: many messages on one connection. */
  readonly keepsConnection: boolean;
}

const TARGETS: readonly Omit<Row, 'keepsConnection'>[] = [
  { name: 'discard', recipient: 'user@far.test', parameters: { default_transport: 'discard' } },
  { name: 'maildir', recipient: 'daemon@bench.test', parameters: {} },
  {
    name: 'relay',
    recipient: 'user@far.test',
    parameters: { relayhost: `[127.0.0.1]:${SINK_PORT}` },
  },
];

interface Measurement {
  readonly acceptedPerSecond: number;
  readonly drainedPerSecond: number;
  readonly cpuMicrosecondsPerMessage: number;
  /** The same for each program. */
  readonly cpuByProgram: ReadonlyMap<string, number>;
  readonly memoryMegabytes: number;
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  const option = (name: string, fallback: number) =>
    Number(words.find((word) => word.startsWith(`${name}=`))?.split('=')[1] ?? fallback);
  const messages = option('messages', 3000);
  const rounds = option('rounds', 3);
  const warmUp = option('warmup', WARM_UP);
  const tellsPrograms = option('programs', 0) !== 0;
  const wanted = words.filter((word) => !word.includes('='));
  const compares = hasPostfix() && option('ours', 0) === 0;
  const kinds: Kind[] = compares ? ['postfix', 'posthaste'] : ['posthaste'];
  const rows = TARGETS.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).flatMap(
    (target) => [false, true].map((keepsConnection) => ({ ...target, keepsConnection })),
  );
  print(
    `${messages} messages of ${MESSAGE_BYTES} bytes after ${warmUp} others, ${SESSIONS} sessions, median of ${rounds} rounds`,
  );
  print(
    `${'row'.padEnd(14)}${'system'.padEnd(11)}${'accepted/s'.padStart(11)}${'drained/s'.padStart(11)}${'CPU us/msg'.padStart(12)}${'peak MB'.padStart(9)}`,
  );
  for (const row of rows) await runRow(row, kinds, { messages, rounds, warmUp, tellsPrograms });
}

/** How much is measured, and how many messages go through before that. */
interface Amount {
  readonly messages: number;
  readonly rounds: number;
  readonly warmUp: number;
  readonly tellsPrograms: boolean;
}

async function runRow(row: Row, kinds: Kind[], amount: Amount): Promise<void> {
  const results = new Map<Kind, Measurement[]>(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < amount.rounds; round += 1) {
    for (const kind of kinds) results.get(kind)?.push(await measure(kind, row, amount));
  }
  const name = `${row.name}${row.keepsConnection ? ' -d' : ''}`;
  const medians = kinds.map((kind) => medianOf(results.get(kind) ?? []));
  kinds.forEach((kind, at) => {
    const found = medians[at];
    if (!found) return;
    print(formatRow(name, kind, found));
    if (amount.tellsPrograms) print(formatPrograms(found));
  });
  const [theirs, ours] = medians;
  if (!theirs || !ours) return;
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  print(
    `${''.padEnd(14)}${'ratio'.padEnd(11)}` +
      ratio(ours.acceptedPerSecond, theirs.acceptedPerSecond).padStart(11) +
      ratio(ours.drainedPerSecond, theirs.drainedPerSecond).padStart(11) +
      ratio(theirs.cpuMicrosecondsPerMessage, ours.cpuMicrosecondsPerMessage).padStart(12),
  );
}

function formatRow(name: string, kind: Kind, found: Measurement): string {
  const number = (value: number, width: number) => value.toFixed(0).padStart(width);
  return (
    name.padEnd(14) +
    kind.padEnd(11) +
    number(found.acceptedPerSecond, 11) +
    number(found.drainedPerSecond, 11) +
    number(found.cpuMicrosecondsPerMessage, 12) +
    number(found.memoryMegabytes, 9)
  );
}

/** Who used the CPU, the busiest first. */
function formatPrograms({ cpuByProgram }: Measurement): string {
  const busy = [...cpuByProgram].filter(([, microseconds]) => microseconds >= 1);
  busy.sort(([, a], [, b]) => b - a);
  return `  ${busy.map(([name, microseconds]) => `${name} ${microseconds.toFixed(0)}`).join(', ')}`;
}

/** One load on one fresh instance. */
async function measure(kind: Kind, row: Row, amount: Amount): Promise<Measurement> {
  const { messages, warmUp } = amount;
  const sink = row.name === 'relay' ? await startSink() : undefined;
  const instance = startInstance(kind, SMTP_PORT, row.parameters);
  try {
    const master = instance.masterPid();
    await load(instance, row, warmUp);
    await drained(instance);
    const cpuBefore = cpuSeconds(master);
    const start = performance.now();
    let peak = 0;
    const sampler = setInterval(() => {
      peak = Math.max(peak, memoryMegabytes(master));
    }, 1000);
    await load(instance, row, messages);
    const accepted = performance.now();
    await drained(instance);
    const end = performance.now();
    clearInterval(sampler);
    const cpuByProgram = new Map(
      [...cpuSeconds(master)].map(([program, seconds]) => [
        program,
        ((seconds - (cpuBefore.get(program) ?? 0)) * 1e6) / messages,
      ]),
    );
    return {
      acceptedPerSecond: (messages * 1000) / (accepted - start),
      drainedPerSecond: (messages * 1000) / (end - start),
      cpuMicrosecondsPerMessage: [...cpuByProgram.values()].reduce((sum, each) => sum + each, 0),
      cpuByProgram,
      memoryMegabytes: Math.max(peak, memoryMegabytes(master)),
    };
  } finally {
    instance.stop();
    sink?.kill();
  }
}

/** A far end that takes everything; it listens when this returns. */
async function startSink(): Promise<ChildProcess> {
  const sink = spawn('/usr/sbin/smtp-sink', ['-u', 'postfix', `127.0.0.1:${SINK_PORT}`, '200'], {
    stdio: 'ignore',
  });
  for (let tries = 0; tries < 100; tries += 1) {
    const socket = connect(SINK_PORT, '127.0.0.1');
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (up) return sink;
    await wait(50);
  }
  sink.kill();
  throw new Error(`smtp-sink does not listen on port ${SINK_PORT}`);
}

async function load(instance: MailInstance, row: Row, messages: number): Promise<void> {
  const source = spawn(
    '/usr/sbin/smtp-source',
    [
      ...(row.keepsConnection ? ['-d'] : []),
      ...['-s', String(SESSIONS), '-m', String(messages), '-l', String(MESSAGE_BYTES)],
      ...['-f', 'sender@client.test', '-t', row.recipient, `127.0.0.1:${instance.port}`],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [code] = await once(source, 'exit');
  if (code !== 0) throw new Error(`smtp-source ended with status ${code}`);
}

async function drained(instance: MailInstance): Promise<void> {
  const end = performance.now() + DRAIN_LIMIT_MS;
  while (instance.queued() > 0) {
    if (performance.now() > end) {
      throw new Error(
        `${instance.queued()} messages are stuck in ${readdirSync(instance.directory)}`,
      );
    }
    await wait(10);
  }
}

function medianOf(list: readonly Measurement[]): Measurement | undefined {
  const sorted = [...list].sort((a, b) => a.drainedPerSecond - b.drainedPerSecond);
  return sorted[Math.floor(sorted.length / 2)];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exitCode = 1;
});
