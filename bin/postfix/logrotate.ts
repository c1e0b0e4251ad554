import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { sleep } from '../../lib/clock/clock.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { errorText, isSystemError } from '../../lib/os/error.ts';
import { type Administration, environmentOf, isRunning, masterPid } from './administration.ts';

/** Daemons look once a second whether the file was renamed: after that nobody writes to it. */
const PAUSE_MS = 1100;

/**
 * `postfix logrotate`: gives the log file a name with the date in it, lets everybody begin a new
 * one, and compresses the old one. MAILLOG_README.
 */
export async function logrotate(administration: Administration): Promise<number> {
  const { configuration, log } = administration;
  const names = ['maillog_file', 'maillog_file_compressor', 'maillog_file_rotate_suffix'] as const;
  for (const name of names) {
    if (configuration.text(name) !== '') continue;
    log.fatal(`empty '${name}' parameter value - logfile rotation failed`);
    return 1;
  }
  const [file, compressor, suffixFormat] = names.map((name) => configuration.text(name));
  if (file === undefined || compressor === undefined) return 1;
  if (file.startsWith('/dev/')) {
    log.fatal(`not rotating '${file}'`);
    return 1;
  }
  try {
    // strftime(3) with all its letters, and in the language that the administrator has.
    const suffix = outputOf(administration, 'date', `+${suffixFormat}`);
    rename(file, `${file}.${suffix}`);
    if (isRunning(administration)) process.kill(masterPid(administration), 'SIGHUP');
    await sleep(PAUSE_MS);
    outputOf(administration, compressor, `${file}.${suffix}`);
    return 0;
  } catch (error) {
    log.fatal(`logfile '${file}' rotation failed: ${(error as Error).message}`);
    return 1;
  }
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw new FatalError(`rename ${from} to ${to}: ${errorText(error)}`);
  }
}

/** Runs a program, found as the shell finds it, and gives what it prints. @throws {FatalError} */
function outputOf(administration: Administration, program: string, argument: string): string {
  const { status, signal, stdout, stderr, error } = spawnSync(program, [argument], {
    encoding: 'utf8',
    env: environmentOf(administration),
  });
  if (error !== undefined) {
    throw new FatalError(
      `run ${program}: ${isSystemError(error) ? errorText(error) : error.message}`,
    );
  }
  if (status === 0) return stdout.trimEnd();
  const said = (stdout + stderr).trim();
  throw new FatalError(said || `${program} ended with ${signal ?? `status ${status}`}`);
}
