/** What main.cf says about pickup, and what it works with. */
import type { CleanupClient } from '../../lib/clients/cleanup.ts';
import type { MatchList } from '../../lib/config/match-list.ts';
import type { Log } from '../../lib/log/log.ts';
import type { ParametersOf } from '../../lib/server/service.ts';

export const PICKUP_PARAMETERS = [
  'cleanup_service_name',
  'content_filter',
  'line_length_limit',
  'mail_name',
  'mail_owner',
  'message_size_limit',
  'myhostname',
  'receive_override_options',
] as const;

export type PickupParameters = ParametersOf<(typeof PICKUP_PARAMETERS)[number]>;

export interface Pickup {
  readonly parameters: PickupParameters;
  readonly log: Log;
  readonly cleanup: CleanupClient;
  /** authorized_submit_users */
  readonly submitters: MatchList;
  /** Of mail_owner: files of its own in maildrop come from `postsuper -r`. */
  readonly ownerUid: number;
  readonly stopping: AbortSignal;
}
