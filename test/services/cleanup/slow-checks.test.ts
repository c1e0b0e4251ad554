/** Patterns that take long, or for ever: nobody but the message that they look at waits for them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLEANUP_STATUS } from '../../../lib/clients/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { message, type Outcome, submit } from './submission.ts';

const REWRITE = 'rewrite unix - - n - - trivial-rewrite';
const isRoot = process.getuid?.() === 0;

/** libc tries them all: 200 characters keep it busy for a minute. */
const ENDLESS = '/^(a*)*(b*)*(a*)*\\1\\2\\3c$/ REJECT never';
const FATAL_LINE = `${'a'.repeat(120)}b${'a'.repeat(120)}b`;

function send(mail: MailSystem, ...content: string[]): Promise<Outcome> {
  return submit(mail.queue, 'cleanup', message({ content }));
}

test('a pattern without end stops its own message, and no other', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      in_flow_delay: '0',
      pattern_time_limit: '1h',
      service_processes: '1',
      body_checks: 'regexp:$config_directory/checks',
    },
    files: { checks: `${ENDLESS}\n/^reject me/ REJECT rejected\n` },
    only: ['cleanup unix n - n - 0 cleanup', REWRITE],
  });
  await send(mail, 'Subject: x', '', 'warm up');
  // It ends with the mail system.
  send(mail, 'Subject: x', '', 'good', FATAL_LINE).catch(() => {});
  const others = Array.from({ length: 5 }, async (_, number) => {
    const outcome = await send(mail, 'Subject: x', '', number === 0 ? 'reject me' : 'fine');
    return outcome.status;
  });
  const statuses = await Promise.all(others);
  assert.deepEqual(statuses, [`${CLEANUP_STATUS.CONT}`, '0', '0', '0', '0']);

  mail.run('postconf', ['-e', 'pattern_time_limit=1s']);
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  await mail.waitForLog(/reload -- version/);
  const { status, queue, queueId } = await send(mail, 'Subject: x', '', 'good', FATAL_LINE);
  assert.deepEqual([status, queue], [`${CLEANUP_STATUS.WRITE}`, '']);
  await mail.waitForLog(/body_checks: no answer in time for "aaa.*simplify its patterns/);
  await mail.waitForLog(new RegExp(`${queueId}: body_checks map lookup problem -- message not`));
  // The thread can't be had back: the process makes room for one that has all of its threads.
  await send(mail, 'Subject: x', '', 'again');
  const processes = new Set([...mail.log().matchAll(/cleanup\[(\d+)\]/g)].map(([, pid]) => pid));
  for (const pid of processes) {
    if (!mail.log().includes(`cleanup[${pid}]: warning: body_checks: no answer`)) continue;
    await eventually(`cleanup ${pid} has left`, () => !isAlive(Number(pid)));
  }
  assert.doesNotMatch(mail.log(), /killed by signal|exit status|panic|fatal/);
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('checks see every line, however the message comes in pieces', async (t) => {
  const long = Array.from({ length: 3000 }, (_, number) => `line ${number} ${'x'.repeat(60)}`);
  const mail = await startMailSystem(t, {
    main: {
      in_flow_delay: '0',
      body_checks_size_limit: '1000000',
      header_checks: 'regexp:{{/^X-Long: .*\\.$$/ PREPEND X-Found: it}}',
      body_checks: 'regexp:{{/^line 2999/ REPLACE the last line}, {/^line 1 / IGNORE}}',
      message_strip_characters: '\\0',
    },
    only: ['cleanup unix n - n - 0 cleanup', REWRITE],
  });
  const header = `X-Long: ${'y'.repeat(70_000)}.`;
  const { status, records } = await send(mail, 'Subject: x', header, '', ...long);
  assert.equal(status, '0');
  const texts = records.filter(([type]) => type === 'N').map(([, text]) => text);
  assert.ok(texts.includes('the last line'));
  assert.ok(!texts.includes(long[2999] as string));
  assert.ok(!texts.includes(long[1] as string));
  assert.ok(texts.includes(long[2] as string));
  assert.ok(texts.includes('X-Found: it'));
});

test('checks work inside an empty root directory', { skip: !isRoot && 'needs root' }, async (t) => {
  const mail = await startMailSystem(t, {
    main: { in_flow_delay: '0', body_checks: 'regexp:$config_directory/checks' },
    files: { checks: '/^reject me/ REJECT rejected\n' },
    only: ['cleanup unix n - y - 0 cleanup', REWRITE],
  });
  const { status } = await send(mail, 'Subject: x', '', 'fine', 'reject me');
  assert.equal(status, `${CLEANUP_STATUS.CONT}`);
  // A table that changes is seen by the process that comes next.
  writeFileSync(join(mail.config, 'checks'), '/^other/ REJECT rejected\n');
  await eventually('the new table is used', async () => {
    return (await send(mail, 'Subject: x', '', 'reject me')).status === '0' || undefined;
  });
});

test('a table in trouble defers the message', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      in_flow_delay: '0',
      header_checks: 'regexp:{{/^x-never/ OK}}, fail:always',
      body_checks: 'regexp:/no/such/file',
    },
    only: ['cleanup unix n - n - 0 cleanup', REWRITE],
  });
  const { status } = await send(mail, 'Subject: x', '', 'fine');
  assert.equal(status, `${CLEANUP_STATUS.WRITE}`);
  await mail.waitForLog(/warning: fail:always lookup error for "/);
});
