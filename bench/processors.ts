/**
 * Which processors a benchmark runs on. The load comes from another than the mail system has, as it
 * comes from other machines in life: what is measured is then the mail system alone.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** One for the mail system, and one for those who load it. */
const PROCESSORS = { mailSystem: 0, load: 1 } as const;

export const canSeparate = (): boolean =>
  availableParallelism() > 1 && spawnSync('taskset', ['-V']).error === undefined;

/** All threads of this process go there, and what it starts from now on. */
export function runOn(whose: keyof typeof PROCESSORS): void {
  const where = String(PROCESSORS[whose]);
  const { status, stderr } = spawnSync('taskset', ['-a', '-cp', where, String(process.pid)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`taskset: ${stderr}`);
}
