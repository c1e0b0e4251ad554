/** Postfix's own test server as the far end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { connectTo } from '../../../lib/net/connect.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { freePort } from '../../support/ports.ts';
import { startAgent } from './agent.ts';

const SINK = '/usr/sbin/smtp-sink';
/** It will not run as root. */
const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
const skip = existsSync(SINK) ? false : 'needs smtp-sink';

for (const options of [[], ['-p'], ['-e'], ['-8', '-F']]) {
  test(`smtp-sink ${options.join(' ')} takes our mail`, { skip }, async (t) => {
    const port = await freePort();
    const sink = spawn(SINK, [...asUser, ...options, `127.0.0.1:${port}`, '10'], {
      stdio: 'ignore',
    });
    atEnd(t, () => sink.kill('SIGKILL'));
    await eventually('smtp-sink', async () => {
      try {
        (await connectTo({ address: '127.0.0.1', port }, { connectMs: 1000 })).destroy();
        return true;
      } catch {
        return false;
      }
    });
    const agent = startAgent(t);
    const content = `Subject: x\n\n${'.dot\nline\n'.repeat(30_000)}`;
    for (let round = 0; round < 3; round += 1) {
      const done = await agent.deliver(`[127.0.0.1]:${port}`, { content, flags: 3 | 2048 | 4096 });
      assert.equal(done.status, 0);
    }
  });
}
