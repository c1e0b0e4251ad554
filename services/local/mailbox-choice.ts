/** Which way mail goes to a user's mailbox. Pure. */
import type { User } from '../../lib/os/identity.ts';
import type { Parameters } from './settings.ts';

export type MailboxChoice = (
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'maildir'; readonly path: string }
  /** `spool` is set for a mailbox in mail_spool_directory. */
  | { readonly kind: 'mailbox'; readonly path: string; readonly spool?: string }
) & {
  /** The parameter that decided. */
  readonly because: string;
};

type ChoiceParameters = Pick<
  Parameters,
  'mailbox_command' | 'home_mailbox' | 'mail_spool_directory'
>;

/** @param mappedCommand what mailbox_command_maps says of the user */
export function chooseMailbox(
  parameters: ChoiceParameters,
  user: User,
  mappedCommand?: string,
): MailboxChoice {
  const { mailbox_command, home_mailbox, mail_spool_directory } = parameters;
  if (mappedCommand !== undefined) {
    return { kind: 'command', command: mappedCommand, because: 'mailbox_command_maps' };
  }
  if (mailbox_command !== '') {
    return { kind: 'command', command: mailbox_command, because: 'mailbox_command' };
  }
  if (home_mailbox !== '') {
    const kind = home_mailbox.endsWith('/') ? 'maildir' : 'mailbox';
    return { kind, path: `${user.home}/${home_mailbox}`, because: 'home_mailbox' };
  }
  const because = 'mail_spool_directory';
  if (mail_spool_directory.endsWith('/')) {
    return { kind: 'maildir', path: `${mail_spool_directory}${user.name}/`, because };
  }
  const path = `${mail_spool_directory}/${user.name}`;
  return { kind: 'mailbox', path, spool: mail_spool_directory, because };
}

/** With whose rights a spooled mailbox is written, and for whom a new one is made. */
export interface SpoolRights {
  readonly uid: number;
  readonly gid: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * As few rights as the spool directory allows: the user's own when all may write there, the user's
 * and the directory's group when that may; otherwise root's, and new mailboxes are given away.
 */
export function spoolRights(
  directory: { readonly mode: number; readonly gid: number },
  user: User,
): SpoolRights {
  const { uid, gid } = user;
  if ((directory.mode & 0o002) !== 0) return { uid, gid };
  if ((directory.mode & 0o020) !== 0) return { uid, gid: directory.gid };
  return { uid: 0, gid: 0, owner: { uid, gid } };
}
