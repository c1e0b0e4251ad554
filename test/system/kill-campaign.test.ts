/**
 * Nothing that was answered with 250 is lost, whatever process dies and whenever: thousands of
 * messages flow while a random daemon is killed every 300 ms.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { monotonic, sleep } from '../../lib/clock/clock.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { converse } from '../support/smtp-client.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';

const MESSAGES = Number(process.env.CAMPAIGN_MESSAGES ?? 5000);
const SESSIONS = 10;
const KILL_EVERY_MS = Number(process.env.CAMPAIGN_KILL_MS ?? 300);
/** Nothing may stand still for longer while there is work. */
const STALL_MAX_MS = 5000;
/** On a machine that takes long to start a daemon both are so many times that. */
const KILL_RECOVERIES = 0.5;
const STALL_RECOVERIES = 10;
/** Who relays may die after the next one has taken the message, and before it is marked. */
const DUPLICATES_PER_KILL = 0.3;
/** A campaign may have bad luck, two in succession hardly: on average of so many the bound holds. */
const CAMPAIGNS_MAX = 3;
const ARRIVAL_LIMIT_MS = 120_000;
/** A slow machine spends most of its time on starting processes: then fewer messages must do. */
const OFFER_LIMIT_MS = 100_000;
const ACCEPTED_MIN = MESSAGES / 10;
const KILLS_MIN = 30;

const root = process.getuid?.() === 0;

test('no message that was accepted is lost while processes are killed', async (t) => {
  const peer = await startSmtpPeer(t, {});
  const mail = await startMailSystem(t, {
    main: {
      relayhost: `[127.0.0.1]:${peer.port}`,
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      minimal_backoff_time: '1s',
      maximal_backoff_time: '2s',
      queue_run_delay: '1s',
      transport_retry_time: '1s',
    },
    mailDirectory: true,
  });
  const local = root ? 'games' : '';
  const recoveryMs = await measureRecovery(mail);
  const stallMax = Math.max(STALL_MAX_MS, STALL_RECOVERIES * recoveryMs);
  const accepted = new Set<string>();
  let kills = 0;
  for (let round = 1; ; round += 1) {
    const { acceptedAt, killed } = await campaign(mail, local, accepted, recoveryMs);
    kills += killed;
    const gaps = acceptedAt.slice(1).map((time, at) => time - (acceptedAt[at] ?? time));
    const longest = Math.max(...gaps);
    const relayed = () => peer.messages.map(({ content }) => content);
    const duplicates = await countDuplicates(accepted, () => arrivedIds(mail, local, relayed()));
    t.diagnostic(
      `${accepted.size} accepted, ${kills} kills, ${duplicates} duplicates, recovery ${Math.round(recoveryMs)} ms, longest stall ${Math.round(longest)} ms`,
    );
    assert.ok(longest < stallMax, `nothing was accepted for ${Math.round(longest)} ms`);
    if (duplicates <= kills * DUPLICATES_PER_KILL) return;
    assert.ok(round < CAMPAIGNS_MAX, `${duplicates} duplicates after ${kills} kills`);
  }
});

/** Sends messages while processes are killed, and adds to `accepted` what was answered with 250. */
async function campaign(
  mail: MailSystem,
  local: string,
  accepted: Set<string>,
  recoveryMs: number,
): Promise<{ acceptedAt: readonly number[]; killed: number }> {
  const killer = startKiller(mail, Math.max(KILL_EVERY_MS, KILL_RECOVERIES * recoveryMs));
  const before = accepted.size;
  const acceptedAt: number[] = [];
  const deadline = monotonic() + OFFER_LIMIT_MS;
  const isEnough = () => acceptedAt.length >= ACCEPTED_MIN && killer.kills >= KILLS_MIN;
  const isOver = () => acceptedAt.length >= MESSAGES || monotonic() >= deadline;
  let offered = 0;
  const sender = async () => {
    while (!(isOver() && isEnough())) {
      offered += 1;
      const id = `message-${before}-${offered}`;
      const to = local !== '' && offered % 2 === 0 ? `${local}@lab.test` : 'friend@far.test';
      if (!(await trySend(mail.port, id, to))) continue;
      accepted.add(id);
      acceptedAt.push(monotonic());
    }
  };
  try {
    await Promise.all(Array.from({ length: SESSIONS }, sender));
  } finally {
    killer.stop();
  }
  return { acceptedAt, killed: killer.kills };
}

/** Waits until all has arrived. @returns how much of it came more than once */
async function countDuplicates(
  accepted: ReadonlySet<string>,
  arrived: () => ReadonlyMap<string, number>,
): Promise<number> {
  const missing = () => {
    const found = arrived();
    return [...accepted].filter((id) => !found.has(id));
  };
  await eventually(
    'every accepted message to arrive',
    () => missing().length === 0,
    ARRIVAL_LIMIT_MS,
  ).catch(() => assert.fail(`lost: ${missing().slice(0, 5).join(', ')} of ${accepted.size}`));
  const found = arrived();
  return [...accepted].reduce((sum, id) => sum + (found.get(id) ?? 1) - 1, 0);
}

/** How long it takes, in ms, until a message is accepted again after all daemons were killed. */
async function measureRecovery(mail: MailSystem): Promise<number> {
  const accept = () =>
    eventually('an accepted message', () => trySend(mail.port, 'first', 'friend@far.test'));
  await accept();
  for (const pid of childrenOf(mail.masterPid())) process.kill(pid, 'SIGKILL');
  const start = monotonic();
  await accept();
  return monotonic() - start;
}

interface Killer {
  /** How many died. */
  readonly kills: number;
  stop(): void;
}

/** Kills a random child of master, again and again. */
function startKiller(mail: MailSystem, everyMs: number): Killer {
  const master = mail.masterPid();
  let kills = 0;
  let stopped = false;
  const run = async () => {
    while (!stopped) {
      await sleep(everyMs);
      const victims = childrenOf(master);
      const victim = victims[Math.floor(Math.random() * victims.length)];
      if (victim === undefined || stopped) continue;
      try {
        process.kill(victim, 'SIGKILL');
        kills += 1;
      } catch {
        // It has left by itself.
      }
    }
  };
  void run();
  return {
    get kills() {
      return kills;
    },
    stop() {
      stopped = true;
    },
  };
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** How often each message arrived, in the mailbox or at the peer. */
function arrivedIds(
  mail: MailSystem,
  local: string,
  relayed: readonly string[],
): Map<string, number> {
  const found = new Map<string, number>();
  const boxed = local === '' ? [] : mail.maildir(`mail/${local}`);
  for (const text of [...boxed, ...relayed]) {
    const id = /^X-Test: (\S+)/m.exec(text)?.[1];
    if (id !== undefined) found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}

/** @returns whether the message was answered with 250; everything else may be lost */
async function trySend(port: number, id: string, to: string): Promise<boolean> {
  const content = `Subject: test\r\nX-Test: ${id}\r\n\r\n${'some text\r\n'.repeat(100)}.`;
  const envelope = ['EHLO client.test', 'MAIL FROM:<sender@client.test>', `RCPT TO:<${to}>`];
  const replies = await converse(port, [...envelope, 'DATA', content]);
  return replies[5]?.startsWith('250') ?? false;
}
