/** Who of this machine's users may: authorized_mailq_users, authorized_flush_users ... */
import { lookupUser } from '../os/users.ts';
import type { Configuration } from './configuration.ts';
import { type MatchTable, openMatchList } from './match-list.ts';

type UsersParameter =
  | 'authorized_flush_users'
  | 'authorized_mailq_users'
  | 'authorized_submit_users';

export interface AuthorizedUsers {
  /** The name of a user who may not; undefined when he may. @throws {MatchListError} */
  refused(uid: number): Promise<string | undefined>;
}

/** The list of a parameter. root and mail_owner always may list and flush. */
export function openAuthorizedUsers(
  configuration: Configuration,
  parameter: UsersParameter,
  openTable: (name: string) => MatchTable,
): AuthorizedUsers {
  const list = openMatchList(configuration, parameter, openTable);
  const isPrivileged = (uid: number) =>
    parameter !== 'authorized_submit_users' &&
    (uid === 0 || uid === lookupUser(configuration.get('mail_owner'))?.uid);
  return {
    async refused(uid) {
      if (isPrivileged(uid)) return undefined;
      const name = lookupUser(uid)?.name ?? 'unknown';
      return (await list.matchText(name)).matched ? undefined : name;
    },
  };
}
