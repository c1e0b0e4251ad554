/**
 * postqueue(1): lists the queue, and asks for another attempt to deliver what is in it.
 *
 * Calls showq, flush and qmgr. Not set-gid: those who answer ask the kernel who is there. Every
 * error ends with status 69, as in Postfix.
 */
import { openAuthorizedUsers } from '../lib/config/authorized-users.ts';
import { type Configuration, loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { openTable } from '../lib/table/table.ts';
import { runCommand, say } from './options/command.ts';
import { parseOptions, UsageError } from './options/options.ts';

const SYNTAX = {
  flags: 'c:fi:jps:v',
  usage: 'postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site',
};
const MODES = ['f', 'i', 'j', 'p', 's'] as const;
const EX_UNAVAILABLE = 69;

let configuration: Configuration | undefined;

/** The mail log, opened when there is something to say. */
async function openMailLog() {
  const { openLog } = await import('../lib/log/log.ts');
  return openLog({ program: 'postqueue', configuration, to: 'log' });
}

async function warn(text: string): Promise<void> {
  say('postqueue', `warning: ${text}`);
  (await openMailLog()).warn(text);
}

async function run(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, SYNTAX);
  const modes = MODES.filter((flag) => options.has(flag));
  const mode = modes[0];
  if (mode === undefined || modes.length > 1 || options.operands.length > 0) {
    throw new UsageError(undefined, SYNTAX.usage);
  }
  configuration = loadConfiguration({ directory: options.value('c'), processName: 'postqueue' });
  importEnvironment(configuration);
  for (const warning of configuration.warnings) say('postqueue', `warning: ${warning}`);
  process.chdir(configuration.queuePath());
  const isList = mode === 'p' || mode === 'j';
  await checkUser(configuration, isList);
  if (isList) {
    const { showQueue } = await import('./postqueue/show.ts');
    await showQueue(configuration, mode === 'j' ? 'json' : 'text', warn);
    return 0;
  }
  const { flushAll, flushMessage, flushSite } = await import('./postqueue/flush.ts');
  if (mode === 'f') {
    await flushAll(configuration, warn);
    return 0;
  }
  const { openLog } = await import('../lib/log/log.ts');
  const log = openLog({ program: 'postqueue', configuration, to: 'both' });
  const value = options.value(mode) ?? '';
  if (mode === 's') await flushSite(value, configuration, log);
  else await flushMessage(value, configuration, log);
  return 0;
}

/** The services check again; here it is for a better message. */
async function checkUser(settings: Configuration, isList: boolean): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return;
  const parameter = isList ? 'authorized_mailq_users' : 'authorized_flush_users';
  const users = openAuthorizedUsers(settings, parameter, (name) =>
    openTable(name, { configuration: settings }),
  );
  const refused = await users.refused(uid);
  if (refused === undefined) return;
  const what = isList ? 'view' : 'flush';
  throw new Error(`User ${refused}(${uid}) is not allowed to ${what} the mail queue`);
}

void runCommand({
  name: 'postqueue',
  failure: EX_UNAVAILABLE,
  run,
  async log(text) {
    (await openMailLog()).fatal(text);
  },
});
