/**
 * Test files that run once more in a network of their own, where Postfix's programs and ours ask a
 * name server of the test's: it may have port 53 there, and /etc/resolv.conf says so.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freshDirectory } from './directories.ts';

const MARK = 'POSTHASTE_TEST_NETWORK';
/** Long enough for a server that has much else to do. */
const RESOLV_CONF = 'nameserver 127.0.0.1\noptions timeout:3 attempts:1\n';

/** Whether this is the second run. */
export const isInOwnNetwork = process.env[MARK] !== undefined;

export function whyNoOwnNetwork(): string | false {
  return spawnSync('unshare', ['-mn', 'true']).status === 0 ? false : 'needs root and unshare(1)';
}

/** Runs a test file again; its tests are to pass there. */
export function runInOwnNetwork(t: TestContext, file: string): void {
  const resolvConf = join(freshDirectory(t), 'resolv.conf');
  writeFileSync(resolvConf, RESOLV_CONF);
  const script = `ip link set lo up && mount --bind ${resolvConf} /etc/resolv.conf && exec "$0" "$@"`;
  const node = [process.execPath, '--enable-source-maps', '--test', file];
  const environment: NodeJS.ProcessEnv = { ...process.env, [MARK]: 'yes' };
  // Set by the runner that runs us, it would keep the runner below from running.
  delete environment['NODE_TEST_CONTEXT'];
  const { status, stdout, stderr } = spawnSync('unshare', ['-mn', 'sh', '-c', script, ...node], {
    env: environment,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
}
