/** postkick(1): sends a request to a service that listens for triggers. */
import { loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { runCommand, say } from './options/command.ts';
import { parseOptions, UsageError } from './options/options.ts';
import { wakeUp } from './wake-up/wake-up.ts';

const SYNTAX = { flags: 'c:v', usage: 'postkick [-c config_dir] [-v] class service request' };

async function run(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, SYNTAX);
  const [group, service, request] = options.operands;
  if (request === undefined || options.operands.length > 3) {
    throw new UsageError(undefined, SYNTAX.usage);
  }
  const configuration = loadConfiguration({ directory: options.value('c') });
  importEnvironment(configuration);
  process.chdir(configuration.queuePath());
  const trouble = await wakeUp(`${group}/${service}`, request, configuration);
  if (trouble === undefined) return 0;
  say('postkick', `warning: ${trouble.text}`);
  const hint = trouble.denied ? 'run this as root' : 'perhaps the mail system is down';
  say('postkick', `warning: Cannot contact class ${group} service ${service} - ${hint}`);
  return 1;
}

void runCommand({ name: 'postkick', run });
