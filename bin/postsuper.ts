/** postsuper(1): deletes, holds, releases, requeues, expires messages; repairs the queue. */
import { readFileSync } from 'node:fs';
import { type Configuration, loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { type Log, openLog } from '../lib/log/log.ts';
import { errorText } from '../lib/os/error.ts';
import { becomeForever } from '../lib/os/identity.ts';
import { lookupUser } from '../lib/os/users.ts';
import { hashingOf, type QueueName } from '../lib/queue/queue-path.ts';
import { runCommand } from './options/command.ts';
import { parseOptions } from './options/options.ts';
import { type Operation, Operations } from './postsuper/operations.ts';
import { DEFAULT_QUEUES, KNOWN_QUEUES } from './postsuper/queues.ts';
import { type RepairOptions, repair } from './postsuper/repair.ts';

const SYNTAX = {
  flags: 'c:d:e:f:h:H:pr:sSv',
  usage:
    'postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] ' +
    '[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] ' +
    '[-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] ' +
    '[-S (redundant structure fix)][-v (verbose)] [queue...]',
};

const CHANGED = 'QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS';
const INCOMPLETE = 'OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST';

/** What stopped while names were being changed. */
class IncompleteError extends Error {}

function run(argv: readonly string[]): number {
  const options = parseOptions(argv, SYNTAX);
  const directory = options.value('c');
  if (directory?.startsWith('/') === false) throw new Error('-c requires absolute pathname');
  const configuration = loadConfiguration({ directory, processName: 'postsuper' });
  importEnvironment(configuration);
  const log = openLog({ program: 'postsuper', configuration, to: 'both' });
  try {
    for (const warning of configuration.warnings) log.warn(warning);
    return work(options, configuration, log);
  } catch (error) {
    log.fatal((error as Error).message);
    if (error instanceof IncompleteError) log.warn(INCOMPLETE);
    return 1;
  } finally {
    log.flush();
  }
}

function work(
  options: ReturnType<typeof parseOptions>,
  configuration: Configuration,
  log: Log,
): number {
  becomeOwner(configuration);
  process.chdir(configuration.queuePath());
  const queues = queuesOf(options.operands);
  const hashing = hashingOf(configuration.select(['hash_queue_names', 'hash_queue_depth']));
  if (hashing.names.has('maildrop')) throw new Error('maildrop queue must not be hashed');
  const operations = new Operations({ queues, hashing, log });
  const byId = options.given.filter(([flag]) => 'dehHfr'.includes(flag));
  const structure = options.has('s') || options.has('S');
  const isDefault = byId.length === 0 && !structure && !options.has('p');
  const renamed = repairAll(queues, {
    hashing,
    long: configuration.get('enable_long_queue_ids'),
    structure: structure || isDefault,
    redundant: options.has('S'),
    purge: options.has('p') || isDefault,
    log,
  });
  if (renamed > 0 && byId.length > 0) {
    log.error(CHANGED);
    throw new IncompleteError('CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND');
  }
  for (const [flag, value] of byId) {
    for (const id of value === '-' ? idsFromInput() : [value])
      operations.run(flag as Operation, id);
  }
  operations.logTotals();
  if (renamed > 0) {
    log.info(`Renamed to match inode number: ${renamed} message${renamed === 1 ? '' : 's'}`);
    log.warn(CHANGED);
  }
  return 0;
}

function repairAll(queues: readonly QueueName[], options: RepairOptions): number {
  try {
    return repair(queues, options);
  } catch (error) {
    throw new IncompleteError(errorText(error), { cause: error });
  }
}

/** Files must belong to mail_owner: so does the process. A lab's owner need not be root. */
function becomeOwner(configuration: Configuration): void {
  const uid = process.geteuid?.();
  const owner = lookupUser(configuration.get('mail_owner'));
  if (uid !== 0 && uid !== owner?.uid) {
    throw new Error('use of this command is reserved for the superuser');
  }
  if (owner === undefined) {
    throw new Error(`mail_owner: unknown user name value: ${configuration.get('mail_owner')}`);
  }
  process.umask(0o077);
  if (uid === 0) becomeForever(owner);
}

function queuesOf(names: readonly string[]): readonly QueueName[] {
  if (names.length === 0) return DEFAULT_QUEUES;
  return names.map((name) => {
    const queue = KNOWN_QUEUES.find((known) => known === name);
    if (queue === undefined) throw new Error(`invalid directory name: ${name}`);
    return queue;
  });
}

function idsFromInput(): readonly string[] {
  const lines = readFileSync(0, 'utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

void runCommand({ name: 'postsuper', run });
