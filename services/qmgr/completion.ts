/** What happens to a message when all its recipients have been tried. queue.md 5.4. */
import { lstatSync } from 'node:fs';
import { withDeadline } from '../../lib/async/deadline.ts';
import { BOUNCE_FLAG, type NoticeSubject } from '../../lib/clients/bounce.ts';
import { now } from '../../lib/clock/clock.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import { NOTIFY } from '../../lib/dsn/notify.ts';
import { errorText } from '../../lib/os/error.ts';
import { logSize, removeLog } from '../../lib/queue/logs.ts';
import { isReady, QueueFile } from '../../lib/queue/queue-file.ts';
import { SIZE_FLAGS } from '../../lib/queue/size-record.ts';
import type { Core } from './core.ts';
import type { Message } from './message.ts';
import { moveAside, saveCorrupt } from './open-message.ts';

/** A bounce service that takes longer has failed; the message stays. */
const NOTICE_MS = 1_000_000;

/**
 * Reports, returns, defers or removes a message. Each step leaves the disk in a state from which a
 * new qmgr goes on: at worst a notice is sent twice.
 */
export async function complete(core: Core, message: Message): Promise<void> {
  if (!(await bounceFailed(core, message))) message.deferred = true;
  if (message.deferred && isSpoilt(core, message)) {
    moveAside(core, message.id, () => saveCorrupt(core, message.id));
    return;
  }
  if (wantsReport(message) && !(await report(core, message))) message.deferred = true;
  if (message.deferred) await returnOrWarn(core, message);
  if (message.deferred) moveAside(core, message.id, () => defer(core, message));
  else await remove(core, message);
}

/** Step 1: tells the sender of recipients that failed. @returns false when it must be tried again */
async function bounceFailed(core: Core, message: Message): Promise<boolean> {
  const place = { queue: 'bounce', id: message.id, hashing: core.hashing } as const;
  const sizeBytes = logSize(place);
  if (sizeBytes === undefined) return true;
  if (sizeBytes > 0) return notify(core, message, 'bounce', BOUNCE_FLAG.NONE);
  removeLog(place);
  return true;
}

/** An agent that can't read the content takes the mode bits away; the reader of recipients says so. */
function isSpoilt(core: Core, message: Message): boolean {
  if (message.damaged) return true;
  const stats = lstatSync(core.moves.path('active', message.id), { throwIfNoEntry: false });
  return stats !== undefined && !isReady(stats);
}

function wantsReport({ envelope }: Message): boolean {
  const { USR_VRFY, RECORD, REC_DLY_SENT } = DELIVERY_FLAG;
  if ((envelope.traceFlags & (USR_VRFY | RECORD | REC_DLY_SENT)) !== 0) return true;
  return (envelope.size.flags & (NOTIFY.success << SIZE_FLAGS.notifyShift)) !== 0;
}

/** Step 4: `sendmail -v`, `-bv`, NOTIFY=SUCCESS. A message whose sender asked is reported once. */
async function report(core: Core, message: Message): Promise<boolean> {
  const { traceFlags, traceOffset } = message.envelope;
  const subject = subjectOf(message, traceFlags);
  const done = await limited(core, message, () => core.reporters.bounce.trace('trace', subject));
  if (done && traceOffset > 0 && (traceFlags & DELIVERY_FLAG.RECORD) !== 0) {
    change(core, message, (file) => file.killAttribute(traceOffset));
  }
  return done;
}

/** Step 5: the message is too old, or was told to go; or its sender should hear of the delay. */
async function returnOrWarn(core: Core, message: Message): Promise<void> {
  const { envelope, forceExpired } = message;
  const seconds = now() / 1000;
  if (forceExpired || seconds >= envelope.createTime + lifetime(core, message)) {
    core.log.info({
      kind: 'expired',
      queueId: message.id,
      from: envelope.sender,
      forced: forceExpired,
    });
    if (await notify(core, message, 'defer', BOUNCE_FLAG.DELRCPT)) message.deferred = false;
    return;
  }
  if (envelope.warnTime <= 0 || seconds < envelope.warnTime - 1) return;
  const subject = subjectOf(message, BOUNCE_FLAG.NONE);
  if (await limited(core, message, () => core.reporters.bounce.warn('defer', subject))) {
    change(core, message, (file) => file.markWarned(envelope.warnOffset));
  }
}

function lifetime({ settings }: Core, { envelope }: Message): number {
  return envelope.sender === '' ? settings.bounce_queue_lifetime : settings.maximal_queue_lifetime;
}

/** Has what failed returned to the sender, with VERP one by one. */
function notify(
  core: Core,
  message: Message,
  service: 'bounce' | 'defer',
  flags: number,
): Promise<boolean> {
  const { bounce } = core.reporters;
  const { verpDelimiters } = message.envelope;
  const subject = subjectOf(message, flags);
  return limited(core, message, () =>
    verpDelimiters === undefined || core.settings.disable_verp_bounces
      ? bounce.flush(service, subject)
      : bounce.verp(service, subject, verpDelimiters),
  );
}

async function limited(
  core: Core,
  message: Message,
  ask: () => Promise<boolean>,
): Promise<boolean> {
  try {
    return await withDeadline(NOTICE_MS, undefined, ask, 'bounce service');
  } catch (error) {
    core.log.warn({ kind: 'text', queueId: message.id, text: (error as Error).message });
    return false;
  }
}

function subjectOf({ request }: Message, flags: number): NoticeSubject {
  const { queueName, queueId, encoding, sendOptions, sender, envelopeId, retFlags } = request;
  return { flags, queueName, queueId, encoding, sendOptions, sender, envelopeId, retFlags };
}

/** Changes a record in place. The message does not depend on it: trouble is only told. */
function change(core: Core, message: Message, action: (file: QueueFile) => void): void {
  try {
    using file = QueueFile.open(
      { queue: 'active', id: message.id, hashing: core.hashing },
      { write: true },
    );
    action(file);
  } catch (error) {
    core.log.warn({ kind: 'text', queueId: message.id, text: errorText(error) });
  }
}

/** The longer a message has waited, the longer it waits. */
function defer(core: Core, message: Message): void {
  const { minimal_backoff_time: least, maximal_backoff_time: most } = core.settings;
  const age = Math.floor(now() / 1000) - message.envelope.createTime;
  core.moves.setDue('active', message.id, Math.min(Math.max(age, least), most));
  if (core.moves.move('active', 'deferred', message.id)) return;
  core.log.warn(`rename ${message.id} from active to deferred: No such file or directory`);
}

async function remove(core: Core, message: Message): Promise<void> {
  if (await core.moves.remove('active', message.id)) {
    core.log.info({ kind: 'removed', queueId: message.id });
  } else {
    core.log.warn(`remove ${message.id} from active: No such file or directory`);
  }
}
