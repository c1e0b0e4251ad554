import { bootId } from '../../lib/os/boot.ts';
import { withEffectiveUser } from '../../lib/os/identity.ts';
import { recoverJournals } from '../../lib/queue/journal-recovery.ts';
import { hashingOf } from '../../lib/queue/queue-path.ts';
import type { Administration } from './administration.ts';

/**
 * When all daemons have gone: brings what is queued to the disk, and empties the journal. It may not
 * know yet what was delivered a moment ago, and the machine may be about to start anew.
 */
export function settleJournal({ configuration, log }: Administration): void {
  process.chdir(configuration.queuePath('.'));
  const settle = () =>
    recoverJournals({
      boot: bootId(),
      hashing: hashingOf(configuration.select(['hash_queue_names', 'hash_queue_depth'])),
      warn: (text, queueId) => log.warn({ kind: 'text', queueId, text }),
    });
  // Should it make queue files, they are to be the daemons', who may not have come to it.
  if (process.getuid?.() === 0) withEffectiveUser(configuration.get('mail_owner'), settle);
  else settle();
}
