/** local's parameters, read once. */
import { splitList } from '../../lib/config/configuration.ts';
import type { LockMethods } from '../../lib/delivery/mailbox-locks.ts';
import { parseLockMethods } from '../../lib/delivery/mailbox-locks.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { lookupUser, type User } from '../../lib/os/identity.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { Expansion } from './branch.ts';

export const PARAMETERS = [
  'alias_maps',
  'allow_mail_to_commands',
  'allow_mail_to_files',
  'biff',
  'cleanup_service_name',
  'command_execution_directory',
  'command_expansion_filter',
  'command_time_limit',
  'default_privs',
  'deliver_lock_attempts',
  'deliver_lock_delay',
  'duplicate_filter_limit',
  'execution_directory_expansion_filter',
  'expand_owner_alias',
  'export_environment',
  'fallback_transport',
  'fallback_transport_maps',
  'forward_expansion_filter',
  'forward_path',
  'frozen_delivered_to',
  'home_mailbox',
  'line_length_limit',
  'local_command_shell',
  'luser_relay',
  'mail_name',
  'mail_spool_directory',
  'mailbox_command',
  'mailbox_command_maps',
  'mailbox_delivery_lock',
  'mailbox_size_limit',
  'mailbox_transport',
  'mailbox_transport_maps',
  'message_size_limit',
  'myhostname',
  'owner_request_special',
  'prepend_delivered_header',
  'propagate_unmatched_extensions',
  'queue_directory',
  'recipient_delimiter',
  'require_home_directory',
  'reset_owner_alias',
  'rewrite_service_name',
  'stale_lock_time',
  'strict_mailbox_ownership',
] as const;

export type Parameter = (typeof PARAMETERS)[number];
export type Parameters = ParametersOf<Parameter>;

/** What the parameters say, taken apart. */
export interface Settings {
  readonly parameters: Parameters;
  readonly locks: LockMethods;
  readonly commandsFrom: ReadonlySet<Expansion>;
  readonly filesFrom: ReadonlySet<Expansion>;
  readonly deliveredIn: ReadonlySet<'command' | 'file' | 'forward'>;
  readonly propagate: ReadonlySet<string>;
  /** default_privs: who delivers to commands and files when nobody else is to. */
  readonly defaultUser: User;
}

/** @throws {FatalError} when a value is not one, in Postfix's words */
export function readSettings(parameters: Parameters): Settings {
  checkLimits(parameters);
  const locks = parseLockMethods(splitList(parameters.mailbox_delivery_lock));
  if ('unknown' in locks) {
    throw new FatalError(`unknown mailbox_delivery_lock value "${locks.unknown}"`);
  }
  return {
    parameters,
    locks,
    commandsFrom: words(parameters, 'allow_mail_to_commands', EXPANSIONS),
    filesFrom: words(parameters, 'allow_mail_to_files', EXPANSIONS),
    deliveredIn: words(parameters, 'prepend_delivered_header', ['command', 'file', 'forward']),
    propagate: words(parameters, 'propagate_unmatched_extensions', PROPAGATION),
    defaultUser: readDefaultUser(parameters.default_privs),
  };
}

/** A message that is accepted must fit into an empty mailbox. */
function checkLimits({ mailbox_size_limit: mailbox, message_size_limit: message }: Parameters) {
  if (mailbox === 0 || (message !== 0 && message <= mailbox)) return;
  throw new FatalError(
    message === 0
      ? 'configuration error: mailbox_size_limit is limited but message_size_limit is unlimited'
      : 'configuration error: mailbox_size_limit is smaller than message_size_limit',
  );
}

const EXPANSIONS = ['alias', 'forward', 'include'] as const;
const PROPAGATION = ['canonical', 'virtual', 'alias', 'forward', 'include', 'generic'] as const;

function words<const Word extends string>(
  parameters: Parameters,
  name: Parameter,
  known: readonly Word[],
): ReadonlySet<Word> {
  const found = new Set<Word>();
  for (const text of splitList(String(parameters[name]))) {
    const word = known.find((each) => each === text);
    if (word === undefined) throw new FatalError(`bad ${name} value: ${text}`);
    found.add(word);
  }
  return found;
}

function readDefaultUser(name: string): User {
  const user = lookupUser(name);
  if (user === undefined) {
    throw new FatalError(`parameter default_privs: unknown user name value: ${name}`);
  }
  if (user.uid === 0 || user.gid === 0) {
    throw new FatalError(`parameter default_privs: user ${name} has privileged user or group ID`);
  }
  return user;
}
