/**
 * pickup(8): mail from users of this machine.
 *
 * Woken by postdrop and by master; then it takes what is in maildrop/. On the same socket it takes
 * submissions directly (submission.ts). Calls cleanup. Postfix: pickup(8).
 */
import { CleanupClient } from '../../lib/clients/cleanup.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { openMatchList } from '../../lib/config/match-list.ts';
import { zoneAbbreviation } from '../../lib/message/time-zone.ts';
import { lookupUser } from '../../lib/os/identity.ts';
import type { TriggerService } from '../../lib/server/trigger-server.ts';
import { openTable } from '../../lib/table/table.ts';
import { scanMaildrop } from './maildrop.ts';
import { PICKUP_PARAMETERS, type Pickup } from './settings.ts';
import { isSubmission, SubmissionDoor } from './submission.ts';

type PickupParameter = (typeof PICKUP_PARAMETERS)[number];

interface PickupState {
  readonly pickup: Pickup;
  readonly door: SubmissionDoor;
}

export const pickup: TriggerService<PickupParameter, PickupState> = {
  name: 'pickup',
  parameters: PICKUP_PARAMETERS,
  requires: 'solitary',

  open({ parameters, configuration, log, stopping, tables }) {
    // Read while we can: a chroot may have no zone file.
    zoneAbbreviation(0);
    const state: Pickup = {
      parameters,
      log,
      stopping,
      cleanup: new CleanupClient({
        socketPath: `public/${parameters.cleanup_service_name}`,
        ...clientOptions(configuration, log),
      }),
      submitters: openMatchList(configuration, 'authorized_submit_users', (name) =>
        openTable(name, tables),
      ),
      ownerUid: lookupUser(parameters.mail_owner)?.uid ?? process.getuid?.() ?? -1,
    };
    return { pickup: state, door: new SubmissionDoor(state) };
  },

  trigger: (_bytes, _context, state) => scanMaildrop(state.pickup),
  isRequest: isSubmission,
  serve: (connection, _context, { door }) => door.serve(connection),
};
