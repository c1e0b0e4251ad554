/**
 * TLS handshakes per second, full and resumed: our smtpd and real Postfix's, in one run.
 *
 *   node build/bench/tls-handshakes.cjs               3 rounds of 5 seconds each, with four clients
 *   node build/bench/tls-handshakes.cjs rounds=1 seconds=10 clients=2
 *   node build/bench/tls-handshakes.cjs resumed        only rows of that name
 *   node build/bench/tls-handshakes.cjs together=1     all share all processors
 *
 * The clients are `openssl s_time`: they connect to smtps, shake hands and leave. The mail system has one
 * processor, the clients another. The systems take turns, and the median round of each counts. Each row
 * also says what a handshake cost all processes of the mail system. Run as root.
 */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { hasPostfix, type Kind, startInstance } from './mail-instance.ts';
import { cpuSeconds } from './process-tree.ts';
import { canSeparate, runOn } from './processors.ts';

const PORT = 2628;
/** For each row: V8 compiles what is hot, and a mail system runs for weeks. */
const WARM_UP_SECONDS = 10;

interface Row {
  readonly name: string;
  /** Of the server's certificate. */
  readonly key: 'rsa' | 'ec';
  readonly options: readonly string[];
}

const ROWS: readonly Row[] = [
  { name: 'full, TLS 1.3, RSA', key: 'rsa', options: ['-new'] },
  { name: 'full, TLS 1.3, ECDSA', key: 'ec', options: ['-new'] },
  { name: 'full, TLS 1.2, ECDSA', key: 'ec', options: ['-new', '-tls1_2'] },
  { name: 'resumed, TLS 1.2', key: 'rsa', options: ['-reuse', '-tls1_2'] },
];

interface Rate {
  readonly perSecond: number;
  readonly microseconds: number;
}

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  const option = (name: string, fallback: number) =>
    Number(words.find((word) => word.startsWith(`${name}=`))?.split('=')[1] ?? fallback);
  const amount = {
    seconds: option('seconds', 5),
    clients: option('clients', 4),
    separate: canSeparate() && option('together', 0) === 0,
  };
  const rounds = option('rounds', 3);
  const wanted = words.filter((word) => !word.includes('='));
  const chosen = ROWS.filter(
    ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
  );
  const kinds: readonly Kind[] = hasPostfix() ? ['posthaste', 'postfix'] : ['posthaste'];
  for (const key of ['rsa', 'ec'] as const) {
    const rows = chosen.filter((row) => row.key === key);
    if (rows.length === 0) continue;
    const found = new Map<Kind, Rate[][]>(kinds.map((kind) => [kind, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const kind of kinds) found.get(kind)?.push(await measure(kind, key, rows, amount));
    }
    for (const [at, row] of rows.entries()) print(row, kinds, found, at);
  }
}

interface Amount {
  readonly seconds: number;
  readonly clients: number;
  /** The mail system has a processor of its own. */
  readonly separate: boolean;
}

async function measure(
  kind: Kind,
  key: Row['key'],
  rows: readonly Row[],
  { seconds, clients, separate }: Amount,
): Promise<Rate[]> {
  if (separate) runOn('mailSystem');
  const instance = startInstance(kind, PORT, {
    smtpd_tls_wrappermode: 'yes',
    smtpd_tls_cert_file: '$data_directory/server.pem',
    smtpd_peername_lookup: 'no',
    smtpd_client_connection_count_limit: '0',
  });
  if (separate) runOn('load');
  try {
    makeCertificate(join(instance.directory, 'data/server.pem'), key);
    const rates: Rate[] = [];
    for (const { options } of rows) {
      await load(options, WARM_UP_SECONDS, clients);
      const before = total(instance.masterPid());
      const count = await load(options, seconds, clients);
      await wait(200);
      const used = total(instance.masterPid()) - before;
      rates.push({ perSecond: count / seconds, microseconds: (used / count) * 1e6 });
    }
    return rates;
  } finally {
    instance.stop();
  }
}

function makeCertificate(path: string, key: Row['key']): void {
  const kind = key === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const { status, stderr } = spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      ...kind,
      '-nodes',
      '-keyout',
      path,
      '-out',
      `${path}.crt`,
      '-subj',
      '/CN=bench.test',
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  spawnSync('sh', ['-c', `cat ${path}.crt >> ${path}`]);
}

/** @returns handshakes */
async function load(options: readonly string[], seconds: number, clients: number): Promise<number> {
  const runs = Array.from({ length: clients }, () => client(options, seconds));
  return (await Promise.all(runs)).reduce((sum, count) => sum + count, 0);
}

function client(options: readonly string[], seconds: number): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn('openssl', [
      ...['s_time', '-connect', `127.0.0.1:${PORT}`, '-time', String(seconds)],
      ...options,
    ]);
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', () => {
      const counts = [...text.matchAll(/^(\d+) connections in (\d+) real seconds/gm)];
      resolve(Number(counts.at(-1)?.[1] ?? 0));
    });
  });
}

function total(master: number): number {
  return [...cpuSeconds(master).values()].reduce((sum, seconds) => sum + seconds, 0);
}

function print(
  { name }: Row,
  kinds: readonly Kind[],
  found: ReadonlyMap<Kind, readonly Rate[][]>,
  at: number,
): void {
  const rates = kinds.map((kind) => medianOf((found.get(kind) ?? []).map((rows) => rows[at])));
  const shown = kinds.map(
    (kind, index) =>
      `${kind} ${rates[index]?.perSecond.toFixed(0).padStart(5)}/s ${rates[index]?.microseconds.toFixed(0).padStart(5)} us`,
  );
  const [ours, theirs] = rates;
  const ratio =
    theirs === undefined ? '' : `  ratio ${((ours?.perSecond ?? 0) / theirs.perSecond).toFixed(2)}`;
  process.stdout.write(`${name.padEnd(24)} ${shown.join('  ')}${ratio}\n`);
}

/** Of each number for itself. */
function medianOf(rates: readonly (Rate | undefined)[]): Rate {
  const middle = (number: (rate: Rate) => number) => {
    const sorted = rates.map((rate) => (rate === undefined ? 0 : number(rate)));
    return sorted.sort((a, b) => a - b)[sorted.length >> 1] ?? 0;
  };
  return {
    perSecond: middle(({ perSecond }) => perSecond),
    microseconds: middle(({ microseconds }) => microseconds),
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
});
