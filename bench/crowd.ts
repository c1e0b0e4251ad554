/**
 * What a crowd does to those who work: how long a message takes in 50 busy sessions, alone; then beside
 * 1,000 sessions that do nothing; then beside 200 clients that send one byte a second.
 *
 *   node build/bench/crowd.cjs                         50 busy, 1000 idle, 200 that drip
 *   node build/bench/crowd.cjs busy=20 idle=500 drip=100 messages=2000 rounds=3
 *
 * Each busy session sends one message after the other on its connection; the time is that from MAIL to
 * the reply at the end of the message. The scenes take turns, and the median round of each counts.
 * Fails when a crowd makes the median take more than 1.5 times as long. Run as root.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type MailInstance, startInstance } from './mail-instance.ts';

const PORT = 2633;
/** Connections that are being made at the same time: no more than a listening socket's queue. */
const AT_ONCE = 50;
const DRIP_MS = 1000;
const RATIO_MAX = 1.5;
const WARM_UP = 3000;

interface Latencies {
  readonly median: number;
  readonly p95: number;
}

async function main(): Promise<void> {
  const option = (name: string, fallback: number) =>
    Number(
      process.argv
        .slice(2)
        .find((word) => word.startsWith(`${name}=`))
        ?.split('=')[1] ?? fallback,
    );
  const busy = option('busy', 50);
  const messages = option('messages', 3000);
  const rounds = option('rounds', 3);
  const crowds: Readonly<Record<string, { idle: number; drip: number }>> = {
    alone: { idle: 0, drip: 0 },
    idle: { idle: option('idle', 1000), drip: 0 },
    drip: { idle: 0, drip: option('drip', 200) },
  };
  const most = Math.max(...Object.values(crowds).map(({ idle, drip }) => idle + drip));
  const instance = startInstance('posthaste', PORT, {
    default_process_limit: String(most + busy + 50),
    smtpd_client_connection_count_limit: '0',
    smtpd_peername_lookup: 'no',
    default_transport: 'discard',
    in_flow_delay: '0',
  });
  const results = new Map<string, Latencies[]>(Object.keys(crowds).map((name) => [name, []]));
  try {
    await sendAll(instance, busy, WARM_UP);
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, { idle, drip }] of Object.entries(crowds)) {
        const crowd = await gather(instance, idle, drip);
        results.get(name)?.push(await sendAll(instance, busy, messages));
        crowd.leave();
      }
    }
  } finally {
    instance.stop();
  }
  const medians = new Map([...results].map(([name, list]) => [name, medianOf(list)]));
  const alone = medians.get('alone') as Latencies;
  for (const [name, { median, p95 }] of medians) {
    const ratio = median / alone.median;
    process.stdout.write(
      `${busy} busy sessions, ${SCENES[name]?.(crowds[name]) ?? name}: ` +
        `median ${median.toFixed(1)} ms, 95% within ${p95.toFixed(1)} ms, ratio ${ratio.toFixed(2)}\n`,
    );
    if (ratio > RATIO_MAX) process.exitCode = 1;
  }
}

const SCENES: Readonly<
  Record<string, (crowd: { idle: number; drip: number } | undefined) => string>
> = {
  alone: () => 'alone',
  idle: (crowd) => `beside ${crowd?.idle} idle ones`,
  drip: (crowd) => `beside ${crowd?.drip} that drip`,
};

/** Clients that are in the way. */
async function gather({ port }: MailInstance, idle: number, drip: number) {
  const sockets: Socket[] = [];
  while (sockets.length < idle + drip) {
    const count = Math.min(AT_ONCE, idle + drip - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => open(port)))));
  }
  const dripping = sockets.slice(idle);
  const text = 'MAIL FROM:<slow@client.test>\r\n';
  let at = 0;
  const timer = setInterval(() => {
    for (const socket of dripping) socket.write(text.charAt(at % text.length));
    at += 1;
  }, DRIP_MS);
  return {
    leave() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'data');
  socket.write('EHLO client.test\r\n');
  await once(socket, 'data');
  socket.on('data', () => {});
  return socket;
}

/** Sends so many messages in all. */
async function sendAll({ port }: MailInstance, busy: number, messages: number): Promise<Latencies> {
  const times: number[] = [];
  let left = messages;
  const session = async () => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    const replies = replyReader(socket);
    await replies.next(1);
    socket.write('EHLO client.test\r\n');
    await replies.next(1);
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      socket.write('MAIL FROM:<ann@client.test>\r\nRCPT TO:<bob@far.test>\r\nDATA\r\n');
      await replies.next(3);
      socket.write(MESSAGE);
      const reply = await replies.next(1);
      if (!reply.startsWith('250')) throw new Error(`not accepted: ${reply}`);
      times.push(performance.now() - start);
    }
    socket.end('QUIT\r\n');
  };
  await Promise.all(Array.from({ length: busy }, session));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0;
  return { median: at(0.5), p95: at(0.95) };
}

const MESSAGE = `Subject: bench\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(50)}.\r\n`;

/** Whole replies, one after the other. */
function replyReader(socket: Socket) {
  let text = '';
  let wake = () => {};
  let ended = false;
  socket.on('data', (chunk: string) => {
    text += chunk;
    wake();
  });
  for (const event of ['close', 'error']) {
    socket.on(event, () => {
      ended = true;
      wake();
    });
  }
  return {
    /** Waits for so many replies. @returns the last */
    async next(count: number): Promise<string> {
      for (let last = '', found = 0; ; ) {
        const reply = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.exec(text)?.[0];
        if (reply !== undefined) {
          text = text.slice(reply.length);
          last = reply;
          found += 1;
          if (found === count) return last;
          continue;
        }
        if (ended) throw new Error(`the server closed after ${JSON.stringify(last)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function medianOf(list: readonly Latencies[]): Latencies {
  const sorted = [...list].sort((a, b) => a.median - b.median);
  return sorted[Math.floor(sorted.length / 2)] as Latencies;
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exitCode = 1;
});
