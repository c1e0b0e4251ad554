import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FileWork } from '../../../lib/delivery/file-work.ts';
import type { Step, StepResult } from '../../../services/local/steps.ts';
import { atEnd } from '../../support/cleanup.ts';
import { needsRoot, scratchDirectory } from '../os/scratch.ts';
import { messageFile } from './message-file.ts';

function threads(t: TestContext, count: number) {
  const work = new FileWork<Step, StepResult>('local-delivery', {
    threads: count,
    patience: { attempts: 3, delaySeconds: 0.01 },
  });
  atEnd(t, () => work.close());
  return work;
}

test('threads work as many users at once, the process as none of them', {
  skip: needsRoot,
}, async (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o711);
  const { source } = messageFile(t, directory, ['Subject: x', '', 'body']);
  const work = threads(t, 3);
  const users = Array.from({ length: 8 }, (_, at) => ({ uid: 20_001 + at, gid: 30_001 + at }));
  for (const { uid, gid } of users) {
    const home = join(directory, String(uid));
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, uid, gid);
  }
  const deliveries = users.flatMap(({ uid, gid }) =>
    Array.from({ length: 20 }, async (_, count) => {
      const path = join(directory, String(count % 4 === 0 ? 20_001 : uid), `Maildir${uid}`);
      const step = {
        kind: 'maildir',
        path,
        message: source,
        prepended: '',
        limitBytes: 0,
      } as const;
      const identity = { uid, gid, groups: [gid] };
      const { result } = await work.run([{ identity, work: step }]);
      const foreign = count % 4 === 0 && uid !== 20_001;
      assert.equal(result?.kind, foreign ? 'failed' : 'delivered', `${uid} to ${path}`);
    }),
  );
  // Meanwhile the event loop writes as root.
  writeFileSync(join(directory, 'ours'), '');
  await Promise.all(deliveries);
  assert.equal(statSync(join(directory, 'ours')).uid, 0);
  for (const { uid, gid } of users) {
    const stats = statSync(join(directory, String(uid), `Maildir${uid}/new`));
    assert.deepEqual([stats.uid, stats.gid], [uid, gid]);
  }
});

test('steps are taken until one has a result, and told by their number', async (t) => {
  const directory = scratchDirectory(t);
  const work = threads(t, 1);
  const identity = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };
  const home = { identity, work: { kind: 'home', path: directory } } as const;
  const paths = [join(directory, '.forward')];
  const forward = {
    identity,
    work: { kind: 'forward', paths, uid: identity.uid, bytesMax: 100 },
  } as const;
  assert.deepEqual(await work.run([home, forward]), { step: 2, result: undefined });
  writeFileSync(paths[0] ?? '', 'ann');
  assert.equal((await work.run([home, forward])).step, 1);
});

test('a locked mailbox is tried again, and told when patience ends', async (t) => {
  const directory = scratchDirectory(t);
  const { source } = messageFile(t, directory, ['x']);
  const work = threads(t, 1);
  const identity = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };
  const path = join(directory, 'mailbox');
  const step = {
    identity,
    work: {
      kind: 'mailbox',
      path,
      message: source,
      prepended: '',
      locks: { fcntl: true, flock: false, dotlock: true },
      staleLockSeconds: 500,
      limitBytes: 0,
    },
  } as const;
  writeFileSync(`${path}.lock`, '');
  assert.equal((await work.run([step])).result?.kind, 'busy');
  chmodSync(`${path}.lock`, 0o600);
  const waiting = work.run([{ ...step, work: { ...step.work, staleLockSeconds: -1 } }]);
  assert.equal((await waiting).result?.kind, 'delivered');
  assert.equal(readFileSync(path, 'utf8'), 'x\n\n');
});
