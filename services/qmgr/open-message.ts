/** Taking a message out of incoming or deferred into the active queue. queue.md 5.2. */
import type { Stats } from 'node:fs';
import { monotonic, nowMicroseconds } from '../../lib/clock/clock.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';
import type { Envelope, QueuedRecipient } from '../../lib/queue/envelope.ts';
import { logSize, removeLog } from '../../lib/queue/logs.ts';
import { QUEUE_FILE_MODE, QueueFile } from '../../lib/queue/queue-file.ts';
import { QueueFileBusyError, QueueFileError } from '../../lib/queue/queue-file-error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { Core } from './core.ts';
import type { ActiveEnvelope, Message, RequestHead } from './message.ts';
import { NameTakenError } from './queue-moves.ts';
import { firstBatch } from './refill.ts';
import { areDelimiters } from './verp.ts';

/** An old agent has until then to finish with the message. */
const BUSY_SECONDS = 60;

/** A message that has just become active, and the recipients to begin with. */
export interface Opened {
  readonly message: Message;
  readonly recipients: readonly QueuedRecipient[];
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
    moveAside(core, id, () => giveUp(core, id, error));
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
  const read = file.envelope(firstBatch(core));
  const envelope = activeEnvelope(core, id, file, read);
  const { recipients } = read;
  // A writer's fault: Postfix would remove the file as done.
  if (recipients.length === 0 && read.doneCount === 0) {
    throw new QueueFileError(file.path, 0, 'no recipient records');
  }
  const unthrottles = (stats.mode & QUEUE_FILE_MODE.unthrottle) !== 0;
  if (unthrottles) file.setMode(stats.mode & 0o777 & ~QUEUE_FILE_MODE.unthrottle);
  const forceExpired = (stats.mode & QUEUE_FILE_MODE.expire) !== 0;
  const reasons = logSize({ queue: 'defer', id, hashing: core.hashing });
  // It describes the last attempt only; but a message to be returned without another needs it.
  const keepsReasons = forceExpired && reasons !== undefined && reasons > 0;
  if (reasons !== undefined && !keepsReasons)
    removeLog({ queue: 'defer', id, hashing: core.hashing });
  const mismatch = envelope.size.recipientCount - read.doneCount - recipients.length;
  if (read.moreAt === undefined && mismatch > 0) {
    core.log.warn({ kind: 'text', queueId: id, text: `rcpt count mismatch (${mismatch})` });
  }
  // Only the first recipient stands for a redirected message; the others get nothing.
  const isWhole = keepsReasons || envelope.redirect !== undefined;
  const wanted = keepsReasons ? [] : isWhole ? recipients.slice(0, 1) : recipients;
  const moreAt = isWhole ? undefined : read.moreAt;
  const message: Message = {
    id,
    envelope,
    activeAt,
    sequence: core.active.nextSequence(),
    queuedSecond: Math.floor(monotonic() / 1000),
    flushed: flushed || unthrottles,
    unthrottles,
    forceExpired,
    request: requestHead(id, envelope, read),
    moreAt,
    unread: moreAt === undefined ? 0 : Math.max(0, mismatch),
    recipients: wanted.length,
    recipientSlots: core.settings.qmgr_message_recipient_minimum,
    isReading: false,
    refilledAt: monotonic(),
    refill: undefined,
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

/** What every message must have, without what can't be honoured. */
function activeEnvelope(core: Core, id: QueueId, file: QueueFile, read: Envelope): ActiveEnvelope {
  const { size, sender, arrivalTime } = read;
  if (arrivalTime === undefined)
    throw new QueueFileError(file.path, 0, 'missing arrival time record');
  if (sender === undefined) throw new QueueFileError(file.path, 0, 'missing sender record');
  if (size === undefined) throw new QueueFileError(file.path, 0, 'missing size record');
  const confirms = core.settings.confirm_delay_cleared && read.warnTime < 0;
  return {
    size,
    sender,
    arrivalTime,
    createTime: read.createTime,
    contentFilter: read.contentFilter,
    inspector: read.inspector,
    redirect: read.redirect,
    verpDelimiters: acceptedDelimiters(core, id, sender, read.verpDelimiters),
    warnTime: read.warnTime,
    warnOffset: read.warnOffset,
    traceFlags: read.traceFlags | (confirms ? DELIVERY_FLAG.REC_DLY_SENT : 0),
    traceOffset: read.traceOffset,
  };
}

function acceptedDelimiters(
  { settings, log }: Core,
  queueId: QueueId,
  sender: string,
  delimiters: string | undefined,
): string | undefined {
  if (delimiters === undefined) return undefined;
  if (!isVerpPossible(sender)) {
    log.warn({ kind: 'text', queueId, text: 'ignoring VERP request for null sender' });
  } else if (!areDelimiters(delimiters, settings.verp_delimiter_filter)) {
    log.warn({ kind: 'text', queueId, text: `ignoring bad VERP request: ${delimiters}` });
  } else {
    return delimiters;
  }
  return undefined;
}

function isVerpPossible(sender: string): boolean {
  return sender !== '' && !sender.startsWith('@');
}

function requestHead(id: QueueId, { size, sender }: ActiveEnvelope, read: Envelope): RequestHead {
  const { attributes } = read;
  const value = (name: string) => attributes.get(name) ?? '';
  // Mail from the days before log_client_*: what was logged was the client itself.
  const old = !attributes.has('log_client_name') && attributes.has('client_name');
  const client = (name: string) => value(old ? name : `log_${name}`);
  return {
    queueName: 'active',
    queueId: id,
    contentOffset: size.contentOffset,
    // What milters have made of it.
    contentSize: size.contentBytes,
    encoding: value('encoding'),
    sendOptions: size.sendOptions,
    sender,
    envelopeId: read.envelopeId,
    retFlags: read.returnFlags,
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
    const text = `message rejected: ${error.what} (at offset ${error.offset} of ${error.path})`;
    log.warn({ kind: 'text', queueId: id, text });
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

/** Moves a file out of active; one that can't be stays there, and in nobody's way. */
export function moveAside(core: Core, id: QueueId, action: () => void): void {
  try {
    action();
  } catch (error) {
    // A folder that is not ours, for one, can't be moved: its parent is in it.
    const isStuck = isErrno(error, 'EACCES', 'EPERM', 'EISDIR', 'ENOTDIR');
    if (!(error instanceof NameTakenError) && !isStuck) throw error;
    core.active.block(id);
    const where = isStuck ? `${core.moves.path('active', id)}: ` : '';
    core.log.warn(where + errorText(error));
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
