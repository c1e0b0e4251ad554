/** Taking a message out of incoming or deferred into the active queue. queue.md 5.2. */
import type { Stats } from 'node:fs';
import { nowMicroseconds } from '../../lib/clock/clock.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';
import type { Envelope, QueuedRecipient } from '../../lib/queue/envelope.ts';
import { logSize, removeLog } from '../../lib/queue/logs.ts';
import { QUEUE_FILE_MODE, QueueFile } from '../../lib/queue/queue-file.ts';
import { QueueFileBusyError, QueueFileError } from '../../lib/queue/queue-file-error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { Core } from './core.ts';
import type { ActiveEnvelope, Message, RequestHead } from './message.ts';
import { areDelimiters } from './verp.ts';

/** Recipients read at a time, however much room there is. */
const BATCH_MAX = 5000;
/** An old agent has until then to finish with the message. */
const BUSY_SECONDS = 60;

/** A message that has just become active, and the recipients to begin with. */
export interface Opened {
  readonly message: Message;
  readonly recipients: readonly QueuedRecipient[];
}

/** How many recipients may be read into memory now. */
export function batchLimit({ settings, active }: Core): number {
  const room = settings.qmgr_message_recipient_limit - active.recipients;
  return Math.min(BATCH_MAX, Math.max(settings.qmgr_message_recipient_minimum, room));
}

/**
 * Makes a message active: moves its file first, then opens, locks and reads it. The lock ends
 * before the first delivery; it only shows whether an agent of an earlier qmgr is still at work.
 *
 * @param flushed somebody asked for a delivery attempt now
 * @returns undefined when there is nothing to deliver; it is dealt with then
 */
export function openMessage(
  core: Core,
  from: 'incoming' | 'deferred',
  id: QueueId,
  stats: Stats,
  flushed: boolean,
): Opened | undefined {
  if (!core.moves.rename(from, 'active', id)) return undefined;
  const activeAt = nowMicroseconds();
  let file: QueueFile | undefined;
  try {
    file = QueueFile.open(
      { queue: 'active', id, hashing: core.hashing },
      { write: true, lock: 'exclusive' },
    );
    return readMessage(core, file, id, activeAt, stats, flushed);
  } catch (error) {
    giveUp(core, id, error);
    return undefined;
  } finally {
    file?.close();
  }
}

function readMessage(
  core: Core,
  file: QueueFile,
  id: QueueId,
  activeAt: Message['activeAt'],
  stats: Stats,
  flushed: boolean,
): Opened {
  const { recipients, attributes, ...rest } = file.envelope(batchLimit(core));
  const envelope = validated(file, rest);
  const unthrottles = (stats.mode & QUEUE_FILE_MODE.unthrottle) !== 0;
  if (unthrottles) file.setMode(stats.mode & 0o777 & ~QUEUE_FILE_MODE.unthrottle);
  const forceExpired = (stats.mode & QUEUE_FILE_MODE.expire) !== 0;
  const reasons = logSize({ queue: 'defer', id, hashing: core.hashing });
  // It describes the last attempt only; but a message to be returned without another needs it.
  const keepsReasons = forceExpired && reasons !== undefined && reasons > 0;
  if (reasons !== undefined && !keepsReasons)
    removeLog({ queue: 'defer', id, hashing: core.hashing });
  const mismatch = envelope.size.recipientCount - envelope.doneCount - recipients.length;
  if (envelope.moreAt === undefined && mismatch > 0) {
    core.log.warn({ kind: 'text', queueId: id, text: `rcpt count mismatch (${mismatch})` });
  }
  // Only the first recipient stands for a redirected message; the others get nothing.
  const isWhole = keepsReasons || envelope.redirect !== undefined;
  const wanted = keepsReasons ? [] : isWhole ? recipients.slice(0, 1) : recipients;
  const message: Message = {
    id,
    envelope: accepted(core, id, envelope),
    activeAt,
    flushed: flushed || unthrottles,
    unthrottles,
    forceExpired,
    request: requestHead(id, envelope, attributes),
    moreAt: isWhole ? undefined : envelope.moreAt,
    recipients: wanted.length,
    unfinished: 0,
    deferred: keepsReasons,
    damaged: false,
    jobs: [],
  };
  core.log.info({
    kind: 'queued',
    queueId: id,
    from: envelope.sender,
    sizeBytes: envelope.size.contentBytes,
    recipientCount: envelope.size.recipientCount,
  });
  return { message, recipients: wanted };
}

/** What every message must have. */
function validated(
  file: QueueFile,
  envelope: Omit<Envelope, 'recipients' | 'attributes'>,
): ActiveEnvelope {
  const { size, sender, arrivalTime } = envelope;
  if (arrivalTime === undefined)
    throw new QueueFileError(file.path, 0, 'missing arrival time record');
  if (sender === undefined) throw new QueueFileError(file.path, 0, 'missing sender record');
  if (size === undefined) throw new QueueFileError(file.path, 0, 'missing size record');
  return { ...envelope, size, sender, arrivalTime };
}

/** Without what can't be honoured, which is said; with what lives in memory only. */
function accepted(core: Core, id: QueueId, envelope: ActiveEnvelope): ActiveEnvelope {
  const { settings, log } = core;
  let { verpDelimiters, traceFlags } = envelope;
  if (verpDelimiters !== undefined && !isVerpPossible(envelope.sender)) {
    log.warn({ kind: 'text', queueId: id, text: 'ignoring VERP request for null sender' });
    verpDelimiters = undefined;
  } else if (verpDelimiters !== undefined) {
    if (!areDelimiters(verpDelimiters, settings.verp_delimiter_filter)) {
      log.warn({ kind: 'text', queueId: id, text: `ignoring bad VERP request: ${verpDelimiters}` });
      verpDelimiters = undefined;
    }
  }
  if (settings.confirm_delay_cleared && envelope.warnTime < 0) {
    traceFlags |= DELIVERY_FLAG.REC_DLY_SENT;
  }
  if (verpDelimiters === envelope.verpDelimiters && traceFlags === envelope.traceFlags)
    return envelope;
  return { ...envelope, verpDelimiters, traceFlags };
}

function isVerpPossible(sender: string): boolean {
  return sender !== '' && !sender.startsWith('@');
}

function requestHead(
  id: QueueId,
  envelope: ActiveEnvelope,
  attributes: Envelope['attributes'],
): RequestHead {
  const { size } = envelope;
  const value = (name: string) => attributes.get(name) ?? '';
  // Mail from the days before log_client_*: what was logged was the client itself.
  const old = !attributes.has('log_client_name') && attributes.has('client_name');
  const client = (name: string) => value(old ? name : `log_${name}`);
  return {
    queueName: 'active',
    queueId: id,
    contentOffset: size.contentOffset,
    contentSize: size.storedBytes,
    encoding: value('encoding'),
    sendOptions: size.sendOptions,
    sender: envelope.sender,
    envelopeId: envelope.envelopeId,
    retFlags: envelope.returnFlags,
    logClientName: client('client_name'),
    logClientAddress: client('client_address'),
    logClientPort: client('client_port'),
    logClientProtocol: client('protocol_name'),
    logClientHelo: client('helo_name'),
    saslMethod: value('sasl_method'),
    saslUsername: value('sasl_username'),
    saslSender: value('sasl_sender'),
    logIdent: value('log_ident'),
    rewriteContext: value('rewrite_context') || 'local',
  };
}

/** What becomes of a file that can't be read. None of this stops the scan. */
function giveUp(core: Core, id: QueueId, error: unknown): void {
  const { log, moves } = core;
  if (error instanceof QueueFileBusyError) {
    log.info({ kind: 'text', queueId: id, text: 'skipped, still being delivered' });
    putBack(core, id);
  } else if (error instanceof QueueFileError) {
    log.warn({ kind: 'text', queueId: id, text: `message rejected: ${error.message}` });
    saveCorrupt(core, id);
  } else if (isErrno(error, 'ENOENT')) {
    log.warn(`open active ${id}: ${errorText(error)}`);
  } else if (isErrno(error, 'EACCES', 'EPERM', 'ELOOP', 'ENXIO', 'EISDIR')) {
    // The wrong owner, most likely. Postfix stops all mail here; the administrator is told as well.
    log.warn(`open ${moves.path('active', id)}: ${errorText(error)}; set owner and mode right`);
    saveCorrupt(core, id);
  } else {
    log.warn(`open ${moves.path('active', id)}: ${errorText(error)}; will try again later`);
    putBack(core, id);
  }
}

function putBack({ moves }: Core, id: QueueId): void {
  moves.setDue('active', id, BUSY_SECONDS);
  moves.move('active', 'incoming', id);
}

/** Parks a damaged message where no scan looks. */
export function saveCorrupt({ log, moves }: Core, id: QueueId): void {
  log.warn(`saving corrupt file "${id}" from queue "active" to queue "corrupt"`);
  moves.move('active', 'corrupt', id);
}
