/** Delivery to a command: `|command` of an alias or a .forward file, mailbox_command. */
import { now } from '../../lib/clock/clock.ts';
import { environmentBy } from '../../lib/config/environment.ts';
import { commandLine, runCommand } from '../../lib/delivery/command.ts';
import { commandOutcome } from '../../lib/delivery/command-status.ts';
import { UNREADABLE } from '../../lib/delivery/mailbox.ts';
import { formatPrependedHeaders } from '../../lib/delivery/prepended-headers.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import type { User } from '../../lib/os/identity.ts';
import { deliveredBy } from './alias.ts';
import { type Branch, branchMacros } from './branch.ts';
import { expandMacros, filterCharacters } from './macros.ts';
import { actingTrouble, identityOf, type Progress, type Run } from './run.ts';

export async function deliverToCommand(
  run: Run,
  branch: Branch,
  command: string,
): Promise<Progress> {
  const { settings } = run;
  const { parameters } = settings;
  const rights = branch.rights;
  if (run.duplicates.isRepeated('command', branch.user, rights?.uid ?? 0, command)) return 'done';
  if (run.isProbe) return run.sent(branch, `delivers to command: ${command}`);
  const user = rights === undefined || rights.uid === 0 ? settings.defaultUser : rights;
  const trouble = actingTrouble(user);
  if (trouble !== undefined) return run.failed(branch, '4.3.0', trouble);
  const directory = commandDirectory(run, branch, rights);
  const refusal = await directoryTrouble(run, user, directory);
  if (refusal !== undefined) {
    run.warn(refusal);
    return run.failed(branch, '4.3.0', 'temporary failure');
  }

  const { end, output, inputError } = await runCommand({
    ...commandLine(command, parameters.local_command_shell),
    uid: user.uid,
    gid: user.gid,
    environment: {
      ...environmentBy('export_environment', parameters.export_environment, process.env),
      PATH,
      ...commandEnvironment(branch, run.request, rights, parameters.command_expansion_filter),
    },
    directory,
    timeLimitMs: parameters.command_time_limit * 1000,
    input: input(run, branch),
  });
  if (inputError !== undefined) {
    run.warn((inputError as Error).message);
    return run.failed(branch, '4.3.0', UNREADABLE);
  }
  const outcome = commandOutcome(end, command, output);
  if (outcome === undefined) return run.sent(branch, `delivered to command: ${command}`);
  return run.report(branch, outcome);
}

async function* input(run: Run, branch: Branch): AsyncGenerator<Buffer> {
  const delivered = run.settings.deliveredIn.has('command') ? deliveredBy(run, branch) : undefined;
  const { sender, recipient } = branch;
  const { original } = recipient;
  yield Buffer.from(formatPrependedHeaders({ sender, original, delivered, fromLine: now() }));
  yield* run.delivery.message.content({ from: run.request.contentOffset });
}

/** Where the command starts: the queue directory, unless command_execution_directory names another. */
function commandDirectory(run: Run, branch: Branch, user: User | undefined): string {
  const { parameters } = run.settings;
  const text = parameters.command_execution_directory;
  if (text === '') return parameters.queue_directory;
  const lookup = branchMacros(branch, user, parameters.recipient_delimiter);
  const filter = parameters.execution_directory_expansion_filter;
  return expandMacros(text, lookup, filter).text || parameters.queue_directory;
}

async function directoryTrouble(
  run: Run,
  user: User,
  directory: string,
): Promise<string | undefined> {
  if (directory === run.settings.parameters.queue_directory) return undefined;
  // With the dot, it is not enough to see the directory: one must be able to enter it.
  const work = { kind: 'directory', path: `${directory}/.` } as const;
  const { result } = await run.local.work.run([{ identity: identityOf(user), work }]);
  if (result === undefined) return undefined;
  const why = result.kind === 'failed' ? result.text : 'no result';
  return `cannot change directory to "${directory}" for uid=${user.uid} gid=${user.gid}: ${why}`;
}

const PATH = '/usr/bin:/bin';

/**
 * What a command is told of the message. Pure.
 *
 * @param user whose rights it has; none for those of default_privs
 * @param filter characters outside of it become `_`: a shell may get to see them
 */
export function commandEnvironment(
  branch: Branch,
  request: DeliveryRequest,
  user: User | undefined,
  filter: string,
): Record<string, string> {
  const { recipient, local, domain, suffix, sender } = branch;
  const values: Readonly<Record<string, string | undefined>> = {
    SHELL: user?.shell,
    HOME: user?.home,
    USER: branch.user,
    LOGNAME: branch.user,
    EXTENSION: suffix?.extension,
    DOMAIN: domain,
    LOCAL: local,
    RECIPIENT: recipient.address,
    ORIGINAL_RECIPIENT: recipient.original,
    SENDER: sender,
    CLIENT_ADDRESS: request.logClientAddress,
    CLIENT_HELO: request.logClientHelo,
    CLIENT_HOSTNAME: request.logClientName,
    CLIENT_PROTOCOL: request.logClientProtocol,
    SASL_METHOD: request.saslMethod,
    SASL_SENDER: request.saslSender,
    SASL_USERNAME: request.saslUsername,
  };
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    // The null sender is told, too.
    if (value === undefined || (value === '' && name !== 'SENDER')) continue;
    environment[name] = filterCharacters(value, filter);
  }
  return environment;
}
