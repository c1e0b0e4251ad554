/**
 * What SMTP clients cost that are connected and do nothing: the memory of a whole mail system with
 * many of them, ours and real Postfix.
 *
 *   node build/bench/idle-sessions.cjs                  1000 sessions of ours, 200 of real Postfix
 *   node build/bench/idle-sessions.cjs sessions=500 real=0
 *
 * Memory is proportional (PSS): pages that processes share are counted once. Postfix has a process
 * for each session, so it gets fewer, and what counts is what one more costs. Run as root.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { hasPostfix, type Kind, type MailInstance, startInstance } from './mail-instance.ts';
import { memoryMegabytes } from './process-tree.ts';

const PORT = 2627;
/** Connections that are being made at the same time: no more than a listening socket's queue. */
const AT_ONCE = 50;
/** So that what was only needed for starting has been given back. */
const SETTLE_MS = 3000;

interface Measurement {
  readonly sessions: number;
  readonly startedMegabytes: number;
  readonly totalMegabytes: number;
}

async function main(): Promise<void> {
  const option = (name: string, fallback: number) =>
    Number(
      process.argv
        .slice(2)
        .find((word) => word.startsWith(`${name}=`))
        ?.split('=')[1] ?? fallback,
    );
  const ours = await measure('posthaste', option('sessions', 1000));
  print('posthaste', ours);
  const real = hasPostfix() ? option('real', 200) : 0;
  if (real === 0) return;
  const theirs = await measure('postfix', real);
  print('postfix', theirs);
  const ratio = perSession(theirs) / perSession(ours);
  process.stdout.write(`a session of Postfix costs ${ratio.toFixed(0)} times as much\n`);
}

async function measure(kind: Kind, sessions: number): Promise<Measurement> {
  const instance = startInstance(kind, PORT, {
    default_process_limit: String(sessions + 100),
    smtpd_client_connection_count_limit: '0',
    smtpd_peername_lookup: 'no',
    default_transport: 'discard',
  });
  const clients: Socket[] = [];
  try {
    const master = instance.masterPid();
    clients.push(await open(instance));
    await wait(SETTLE_MS);
    const startedMegabytes = memoryMegabytes(master);
    while (clients.length < sessions) {
      const count = Math.min(AT_ONCE, sessions - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: count }, () => open(instance)))));
    }
    await wait(SETTLE_MS);
    return { sessions, startedMegabytes, totalMegabytes: memoryMegabytes(master) };
  } finally {
    for (const client of clients) client.destroy();
    instance.stop();
  }
}

/** A client that has been greeted, has said EHLO, and has its answer. */
async function open({ port }: MailInstance): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'data');
  socket.write('EHLO client.test\r\n');
  await once(socket, 'data');
  return socket;
}

function perSession({ sessions, startedMegabytes, totalMegabytes }: Measurement): number {
  return (totalMegabytes - startedMegabytes) / (sessions - 1);
}

function print(kind: Kind, found: Measurement): void {
  const { sessions, startedMegabytes, totalMegabytes } = found;
  process.stdout.write(
    `${kind.padEnd(10)} ${sessions} idle sessions: ${totalMegabytes.toFixed(0)} MB in all, ` +
      `${startedMegabytes.toFixed(0)} MB with one, ${(perSession(found) * 1024).toFixed(0)} KB for each more\n`,
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exitCode = 1;
});
